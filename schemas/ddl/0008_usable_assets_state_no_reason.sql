-- Earlier versions left with an asset that is ok what one encoder could not do with it; that is in feature_failures.
UPDATE assets SET reason = NULL WHERE status = 'ok' AND reason IS NOT NULL;
