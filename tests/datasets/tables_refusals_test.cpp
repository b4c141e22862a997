// Error messages for tables that cannot be read.
#include "datasets/tables_support.h"
#include "tables/table_reader.h"

namespace sartor::datasets {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using enum TableFormat;

struct Refusal {
  std::string name, file, bytes;
  TableConfig config;
  std::string message;

  friend void PrintTo(const Refusal& test, std::ostream* out) { *out << test.name; }
};

class TableRefusals : public FolderTest, public ::testing::WithParamInterface<Refusal> {};

TEST_P(TableRefusals, NamesFileAndFault) {
  TableConfig config = GetParam().config;
  config.path = path(GetParam().file);
  if (!GetParam().bytes.empty() || GetParam().file.starts_with("empty.")) write(GetParam().file, GetParam().bytes);
  Rejects rejects;
  const auto reading = [&] {
    config.check();
    read_rows(config, rejects, {{"rating"}});
  };
  EXPECT_THAT(reading,
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr(GetParam().message), Not(HasSubstr("\n")))));
}

INSTANTIATE_TEST_SUITE_P(
    All, TableRefusals,
    ::testing::Values(
        Refusal{"missing_file", "none.csv", "", {}, "none.csv: no such file"},
        Refusal{"folder", "", "", {}, " is a folder; give a file or a pattern such as "},
        Refusal{"missing_column",
                "a.csv",
                "user,ratng\n",
                {},
                "a.csv: no column 'rating' (did you mean ratng?); its columns are user, ratng"},
        Refusal{"column_twice", "a.csv", "rating,rating\n", {}, "a.csv: column 'rating' occurs 2 times"},
        Refusal{"missing_key", "a.jsonl", "{\"a\": 1}\n", {}, "a.jsonl: no column 'rating'; its columns are a"},
        Refusal{"json_array_in_a_line",
                "a.json",
                "[{\"rating\": 1}, {\"rating\": 2}]",
                {},
                "a.json is a JSON array, expected JSON Lines (one object per line); convert it with jq -c '.[]' "},
        Refusal{"json_array_over_lines",
                "a.jsonl",
                "\n[\n  {\"rating\": 1},\n  {\"rating\": 2}\n]\n",
                {},
                "a.jsonl is a JSON array, "},
        Refusal{"json_array_with_objects_in_lines",
                "a.jsonl",
                "[{\"rating\": 1},\n{\"rating\": 2}]\n",
                {},
                "a.jsonl is a JSON array, "},
        Refusal{
            "endless_json_array", "a.jsonl", "[" + std::string(65 << 20, ' ') + "]", {}, "a.jsonl is a JSON array, "},
        Refusal{"json_over_lines",
                "a.jsonl",
                "{\n  \"rating\": 1\n}\n{\n  \"rating\": 2\n}\n",
                {},
                "a.jsonl has an object over several lines, expected JSON Lines (one object per line); convert it with "
                "jq -c . "},
        Refusal{"no_json",
                "a.jsonl",
                "rating\xb5\x1b\n1\n",
                {},
                "none of the first 100 lines is a JSON object with columns: rating\\xb5\\x1b\\n1"},
        Refusal{"decimal_of_json",
                "a.jsonl",
                "{\"rating\": 1.5}\n",
                {.decimal = DecimalMark::comma},
                "a.jsonl: decimal is a comma, but JSON numbers use a point"},
        Refusal{"only_blank_lines", "a.csv", "\n\n", {}, "a.csv is empty; a header is expected"},
        Refusal{
            "parquet_of_a_pipe", "../../../../../dev/null", "", {.format = parquet}, "Parquet needs a regular file"},
        Refusal{"empty_file", "empty.csv", "", {}, "empty.csv is empty; a header is expected"},
        Refusal{"empty_json", "empty.jsonl", "", {}, "empty.jsonl: no column 'rating', the file is empty"},
        Refusal{
            "utf16", "a.csv", "\xff\xfer\n", {}, "a.csv: found UTF-16, expected utf-8; set encoding to utf-16 or auto"},
        Refusal{"unknown_ending", "a.xls", "x", {}, "a.xls: cannot infer the format from the name"},
        Refusal{"truncated_gzip", "a.csv.gz", compressed("rating\n1\n2\n").substr(0, 15), {}, "a.csv.gz: "},
        Refusal{"no_gzip", "a.csv.gz", "rating\n1\n", {}, "a.csv.gz: "},
        Refusal{"open_quote",
                "a.csv",
                "user,rating\n1,2\n3,\"中,4\n5,6\n",
                {},
                "a.csv: the record at byte 16 has an unclosed quote: 3,\"中,4"},
        Refusal{"endless_quote",
                "a.csv",
                "rating\n\"" + std::string(65 << 20, 'x'),
                {},
                "has no end within 64 MiB; is a quote unclosed?"},
        Refusal{"empty_separator", "a.csv", "x", {.separator = ""}, "separator is empty"},
        Refusal{"long_quote", "a.csv", "x", {.quote = "''"}, "quote is '''', expected one character or none"},
        Refusal{"quote_and_long_separator",
                "a.csv",
                "x",
                {.separator = "::", .quote = "'"},
                "a.csv: quote needs a separator of one character, not '::'"},
        Refusal{"header_and_names",
                "a.csv",
                "x",
                {.header = true, .column_names = {"a"}},
                "column_names cannot be combined with header: true"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sartor::datasets
