-- The drain inserts a small part twice a second. By default a merge of them takes the large part before them along and
-- writes it again each time: two thirds of a core at fifty inferences a second. With ten to a merge, and none left out
-- because it is small, parts of one size meet, and a row is written again as often as the table has orders of magnitude.

ALTER TABLE otel_logs MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE otel_traces MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE otel_traces_trace_id_ts MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE otel_metrics_gauge MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE otel_metrics_sum MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE otel_metrics_histogram MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE otel_metrics_exponential_histogram MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE otel_metrics_summary MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE inferences MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE outcomes MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE minute_generations MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE buckets_10s MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE profiles_minute MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE signals MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
ALTER TABLE version_sightings MODIFY SETTING merge_selector_base = 10, merge_selector_enable_heuristic_to_remove_small_parts_at_right = 0;
