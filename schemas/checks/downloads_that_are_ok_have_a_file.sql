-- A download that is ok has a file, its digest and its length; one that is not says why in words.
SELECT address, modality, status FROM downloads
WHERE status = 'ok' AND (file IS NULL OR content_sha256 IS NULL OR bytes IS NULL)
   OR status <> 'ok' AND (file IS NOT NULL OR coalesce(reason, '') = '')
   OR status NOT IN ('ok', 'absent', 'fetch_error', 'decode_error');
