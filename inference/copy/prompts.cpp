#include "copy/prompts.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <cmath>

#include "base/numbers.h"
#include "encodings/unicode.h"
#include "schema/log.h"
#include "tables/table_reader.h"

namespace sartor::inference {
namespace {

using text::unicode::is_blank;

std::string_view trimmed(std::string_view text) {
  text = text::unicode::without_whitespace_at_end(text);
  while (!text.empty()) {
    const char* next = text.data();
    if (!(text::unicode::properties(text::unicode::next_character(next)) & text::unicode::whitespace)) break;
    text.remove_prefix(static_cast<size_t>(next - text.data()));
  }
  return text;
}

std::vector<std::string> items_of(std::string_view text, std::string_view separator) {
  std::vector<std::string> items;
  for (bool more = true; more;) {
    const auto end = text.find(separator);
    more = end != text.npos;
    if (const auto item = text.substr(0, end); !is_blank(item)) items.emplace_back(trimmed(item));
    if (more) text.remove_prefix(end + separator.size());
  }
  return items;
}

std::string joined(const std::vector<std::string>& items, const SlotConfig& slot) {
  const auto count = std::min(std::ssize(items), slot.limit.value_or(std::ssize(items)));
  std::string text;
  for (int64_t i = 0; i < count; i++) {
    if (i > 0) text += i + 1 == count ? slot.last_join.value_or(slot.join) : slot.join;
    text += items[i];
  }
  return text;
}

// Text of a number; nullopt if it is none. Integers of any length stay as they are.
std::optional<std::string> number_text(std::string_view text, const std::optional<int64_t>& decimals) {
  const auto number = parse_number<double>(text);
  if (!number || !std::isfinite(*number)) return {};
  if (decimals) return fmt::format("{:.{}f}", *number, *decimals);
  return text.find_first_of(".eE") == text.npos ? std::string(text) : fmt::format("{}", *number);
}

}  // namespace

GatheredList::GatheredList(const ListConfig& config) : name_(config.slot()) {
  datasets::Rejects rejects(datasets::Unfit::error);
  datasets::TableReader reader(config.table, rejects);
  reader.select({{config.key}, {config.column}});
  int64_t ignored = 0;
  for (datasets::TableBatch batch; reader.next(batch);) {
    const auto& ids = static_cast<const arrow::StringArray&>(*batch.columns->column(0));
    const auto& values = static_cast<const arrow::StringArray&>(*batch.columns->column(1));
    for (int64_t row = 0; row < ids.length(); row++) {
      const auto id = ids.GetView(row), value = values.GetView(row);
      const bool missing = id.empty() || is_blank(value);
      if (!missing) values_[std::string(id)].emplace_back(trimmed(value));
      ignored += missing;
    }
  }
  if (ignored > 0) {
    log_warning("{}: {} rows without {} or {} are ignored", config.table.path, ignored, config.key, config.column);
  }
}

const std::vector<std::string>& GatheredList::values(std::string_view id) const {
  static const std::vector<std::string> none;
  const auto found = values_.find(id);
  return found == values_.end() ? none : found->second;
}

PromptTemplate::PromptTemplate(std::string_view pattern, const std::vector<SlotConfig>& slots,
                               const std::vector<std::string>& lists, std::vector<std::string> special_tokens)
    : pattern_(pattern), special_tokens_(std::move(special_tokens)) {
  const auto& names = pattern_.columns();
  for (const auto& slot : slots) {
    require(std::ranges::count(slots, slot.column, &SlotConfig::column) == 1, "slots: {} occurs twice", slot.column);
    require(std::ranges::count(names, slot.column) == 1, "slots: {} is not in the prompt \"{}\"", slot.column, pattern);
  }
  for (const auto& list : lists) {
    require(std::ranges::count(lists, list) == 1, "lists: {} occurs twice", list);
    require(std::ranges::count(names, list) == 1, "lists: {} is not in the prompt \"{}\"", list, pattern);
  }
  for (const auto& name : names) {
    const auto config = std::ranges::find(slots, name, &SlotConfig::column);
    const auto list = std::ranges::find(lists, name);
    const bool gathered = list != lists.end();
    slots_.push_back({config == slots.end() ? SlotConfig{.column = name} : *config, gathered,
                      gathered ? static_cast<size_t>(list - lists.begin()) : columns_.size()});
    if (!gathered) columns_.push_back(name);
  }
}

std::optional<Refusal> PromptTemplate::fill(const std::function<std::string_view(size_t)>& value,
                                            const std::function<const std::vector<std::string>&(size_t)>& list,
                                            std::string& prompt) const {
  std::vector<std::string> texts;
  for (const auto& slot : slots_) {
    auto& text = texts.emplace_back();
    std::optional<Refusal> refusal;
    if (slot.gathered) {
      text = joined(list(slot.place), slot.config);
    } else {
      refusal = value_of(slot, value(slot.place), text);
    }
    if (!refusal) refusal = check_special(slot, text);
    if (refusal) return refusal;
    if (!is_blank(text)) continue;
    if (!slot.config.missing) return Refusal{fmt::format("{} is missing", slot.config.column), text};
    text = *slot.config.missing;
  }
  prompt = pattern_.fill([&](size_t i) { return std::string_view(texts[i]); });
  if (!constant() && is_blank(prompt)) return Refusal{"prompt is blank", prompt};
  return {};
}

std::optional<Refusal> PromptTemplate::value_of(const Slot& slot, std::string_view value, std::string& text) const {
  const auto& config = slot.config;
  if (config.type == SlotType::list) {
    text = joined(items_of(value, config.separator), config);
  } else if (config.type == SlotType::number && !is_blank(value)) {
    auto number = number_text(trimmed(value), config.decimals);
    if (!number) return Refusal{fmt::format("{} is not a number", config.column), std::string(value)};
    text = std::move(*number);
  } else {
    text = value;
  }
  return {};
}

std::optional<Refusal> PromptTemplate::check_special(const Slot& slot, std::string_view text) const {
  for (const auto& token : special_tokens_) {
    if (text.find(token) == text.npos) continue;
    return Refusal{fmt::format("{} contains a special token", slot.config.column), std::string(text)};
  }
  return {};
}

}  // namespace sartor::inference
