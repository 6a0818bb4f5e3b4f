"""The functions that an analyst's query may use.

DuckDB's memory limit does not count the strings and lists that a function makes: `repeat('x', 4000000000)` takes them from the whole
machine, and cannot be interrupted. So it is said here what may be called, and nothing is on the list whose result can be much longer
than its arguments; what joins arguments is counted, so that it cannot double its own result thirty times.
"""

from __future__ import annotations

TABLES = frozenset({"range", "generate_series", "unnest", "duckdb_tables", "duckdb_columns", "duckdb_views"})
"""Table functions: they count, or tell the tables and their comments."""

JOINING = frozenset({"||", "concat", "list_value"})
"""Their results are as long as all arguments together."""
JOINED_MAX = 8
"""Arguments of all of them in one query: what they make is at most 18 times as long as what they were given."""
CONSTANT_CHARS_MAX = 1_000

_OPERATORS = "+ - * / // % ** ^ @ & | << >> ~ ~~ !~~ ~~* !~~* ~~~ !~ ~* !~*"
_NUMBERS = """abs ceil ceiling exp floor greatest isfinite isinf isnan least ln log log10 log2 mod pow power round round_even sign
    sqrt trunc"""
_TEXT = """char_length character_length contains ends_with hash ifnull instr lcase left len length like_escape lower ltrim nullif
    octet_length position prefix regexp_extract regexp_full_match regexp_matches right rtrim split_part starts_with strlen strpos
    substr substring suffix trim typeof ucase upper"""
_TIMES = """age century current_date current_timestamp date_add date_diff date_part date_sub date_trunc datediff datepart datesub
    datetrunc day dayname dayofmonth dayofweek dayofyear decade epoch epoch_ms epoch_us get_current_timestamp hour isodow isoyear
    last_day make_date make_timestamp minute month monthname now quarter second strftime strptime time_bucket timezone to_days
    to_hours to_milliseconds to_minutes to_months to_seconds to_weeks to_years today week weekday weekofyear year yearweek"""
_AGGREGATES = """any_value approx_count_distinct approx_quantile arbitrary arg_max arg_min array_agg avg bool_and bool_or corr count
    count_if count_star countif covar_pop covar_samp entropy first fsum group_concat histogram kurtosis last list listagg mad max
    max_by mean median min min_by mode percentile_cont percentile_disc quantile quantile_cont quantile_disc regr_count
    regr_intercept regr_r2 regr_slope skewness stddev stddev_pop stddev_samp string_agg sum sumkahan unnest var_pop var_samp variance"""
_WINDOWS = (
    "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number"
)

ALLOWED = JOINING.union(*(group.split() for group in (_OPERATORS, _NUMBERS, _TEXT, _TIMES, _AGGREGATES, _WINDOWS)))
