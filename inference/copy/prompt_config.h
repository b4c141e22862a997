// Config of prompts: how the values of a table's columns become text.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "schema/fields.h"
#include "tables/table_config.h"

namespace sartor::inference {

enum class SlotType { text, number, list };
constexpr auto choices(SlotType) {
  return std::to_array<Choice<SlotType>>(
      {{"text", SlotType::text}, {"number", SlotType::number}, {"list", SlotType::list}});
}

// A column in a prompt.
struct SlotConfig {
  std::string column;
  SlotType type = SlotType::text;
  std::string separator = "|", join = ", ";
  std::optional<std::string> last_join;
  std::optional<int64_t> limit, decimals;
  std::optional<std::string> missing;

  template <class Fields> void describe(Fields& field) {
    field.required("column", column, "Column of the source, or name of one of `lists`.");
    field("type", type,
          "text: the value as it is; number: a finite number, without trailing zeros; list: several values in one "
          "column. Rows with other values are rejected. Columns from `lists` are lists.");
    field("separator", separator, "list: separator between the values in the column.");
    field("join", join, "list: text between two values in the prompt.");
    field("last_join", last_join, "list: text before the last value, such as \" and \". Default: join.");
    field("limit", limit, at_least(1), "list: maximum number of values; the first ones are used. Default: all.");
    field("decimals", decimals, between(0, 15), "number: digits after the decimal point. Default: as few as needed.");
    field("missing", missing, "Text for rows without a value; may be empty. Default: such rows are rejected.");
  }
  void check() const {
    require(!column.empty(), "column is empty");
    require(!separator.empty(), "separator is empty");
    require(!decimals || type == SlotType::number, "decimals is for type number, type is {}", name_of(type));
  }
};

// A list for each row, gathered from the rows of another table with the same id.
struct ListConfig {
  datasets::TableConfig table;
  std::string key, column;
  std::optional<std::string> name;

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field.required("key", key, "Column with the ids of the source's rows, for example user.");
    field.required("column", column, "Column with the values, for example title; they keep the order of the table.");
    field("name", name, "Name of the list in the prompt. Default: the name of the column.");
  }
  void check() const { table.check(); }

  const std::string& slot() const { return name ? *name : column; }
};

}  // namespace sartor::inference
