Fetching by address: which addresses wait, and what became of them.

-- name: forget_lost
-- Fetched files that are not in their place any more.
UPDATE assets SET status = 'not_fetched', reason = $reason, content_sha256 = NULL FROM lost
WHERE assets.modality = $modality AND assets.location = lost.address;

-- name: drop_lost
DELETE FROM downloads WHERE modality = $modality AND address IN (SELECT address FROM lost);

-- name: files
SELECT address, file, bytes FROM downloads WHERE modality = $modality AND status = 'ok' ORDER BY address;

-- name: forget_failed
UPDATE assets SET status = 'not_fetched', reason = $reason, content_sha256 = NULL FROM downloads AS d
WHERE assets.modality = $modality AND assets.location = d.address AND d.modality = $modality AND d.status IN ('fetch_error', 'decode_error');

-- name: drop_failed
DELETE FROM downloads WHERE modality = $modality AND status IN ('fetch_error', 'decode_error');

-- name: apply_known
-- Addresses that were fetched for a catalogue before.
UPDATE assets SET status = d.status, reason = d.reason, content_sha256 = d.content_sha256 FROM downloads AS d
WHERE assets.modality = $modality AND assets.status = 'not_fetched' AND d.modality = $modality AND d.address = assets.location;

-- name: count_pending
SELECT count(DISTINCT location) AS n FROM assets WHERE modality = $modality AND status = 'not_fetched';

-- name: pending
-- One page of the addresses that wait, in an order that mixes hosts. An address is of the page that its hash says, so that nothing but
-- the page is made distinct and sorted, and what is visited meanwhile moves no other.
SELECT DISTINCT location, hash(location) AS place FROM assets
WHERE modality = $modality AND status = 'not_fetched' AND hash(location) % $n_pages = $page ORDER BY place, location;

-- name: record
INSERT OR REPLACE INTO downloads
SELECT address, $modality, status, reason, content_sha256, bytes, file, make_timestamp(epoch_us(now())) FROM fetched;

-- name: record_assets
UPDATE assets SET status = fetched.status, reason = fetched.reason, content_sha256 = fetched.content_sha256 FROM fetched
WHERE assets.modality = $modality AND assets.status = 'not_fetched' AND assets.location = fetched.address;

-- name: summary
-- Addresses of the catalogue by what became of them.
SELECT status, coalesce(reason, '') AS reason, count(DISTINCT location) AS addresses, count(DISTINCT item_idx) AS items
FROM assets WHERE modality = $modality AND (status = 'not_fetched' OR location IN (SELECT address FROM downloads WHERE modality = $modality))
GROUP BY ALL ORDER BY addresses DESC, status, reason;
