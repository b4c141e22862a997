// Prompts from templates over typed columns and gathered lists.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "copy/prompt_config.h"
#include "text/template.h"

namespace sartor::inference {

// Why a row has no prompt: a category and an explanation, see datasets::Rejects.
struct Refusal {
  std::string reason, text;
  bool fatal = false;  // an error instead of a rejected row
};

// Values of a table's column by the ids in another one.
class GatheredList {
 public:
  // Reads the table. Rows without id or value are ignored with a warning. Throws std::invalid_argument if a file is
  // missing, cannot be parsed or lacks a column.
  explicit GatheredList(const ListConfig& config);

  const std::string& name() const { return name_; }
  const std::vector<std::string>& values(std::string_view id) const;  // empty for unknown ids

 private:
  std::string name_;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

// A text template (text/template.h) whose slots have types.
class PromptTemplate {
 public:
  // Throws std::invalid_argument if the pattern is invalid, or if a slot or a list is not in it or occurs twice in the
  // config. `special_tokens` are texts that no value may contain, because the tokenizer would make special tokens of
  // them, such as the end of a message in a chat.
  PromptTemplate(std::string_view pattern, const std::vector<SlotConfig>& slots, const std::vector<std::string>& lists,
                 std::vector<std::string> special_tokens = {});

  // Columns of the source, in order of first use.
  const std::vector<std::string>& columns() const { return columns_; }
  bool constant() const { return slots_.empty(); }

  // Fills the template. value(i) is the value of columns()[i], valid UTF-8; list(i) are the values of list i. Returns
  // why a row has no prompt if a slot has no value or one of another type, or if the prompt is blank but not constant.
  std::optional<Refusal> fill(const std::function<std::string_view(size_t)>& value,
                              const std::function<const std::vector<std::string>&(size_t)>& list,
                              std::string& prompt) const;

 private:
  struct Slot {
    SlotConfig config;
    bool gathered = false;
    size_t place = 0;  // in columns_ or among the lists
  };

  std::optional<Refusal> value_of(const Slot& slot, std::string_view value, std::string& text) const;
  std::optional<Refusal> check_special(const Slot& slot, std::string_view text) const;

  text::Template pattern_;
  std::vector<std::string> special_tokens_, columns_;
  std::vector<Slot> slots_;  // in the order of pattern_.columns()
};

}  // namespace sartor::inference
