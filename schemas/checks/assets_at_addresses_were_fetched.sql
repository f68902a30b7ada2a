-- An asset that is ok and located at an address has a download with the same content.
SELECT a.item_idx, a.modality, a.position, a.location FROM assets AS a
LEFT JOIN downloads AS d ON d.address = a.location AND d.modality = a.modality AND d.status = 'ok' AND d.content_sha256 = a.content_sha256
WHERE a.status = 'ok' AND regexp_matches(a.location, '^https?://') AND d.address IS NULL;
