#include "texts/text_pairs.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>

#include "encodings/unicode.h"

namespace sartor::inference {
namespace {

constexpr std::string_view too_long_reason = "text or reference has more than 65536 bytes";

std::string_view value(const datasets::TableBatch& batch, int64_t column, int64_t row) {
  return static_cast<const arrow::StringArray&>(*batch.columns->column(static_cast<int>(column))).GetView(row);
}

bool too_long(std::string_view text) { return std::ssize(text) > longest_text; }

bool blank(std::string_view text) { return text::unicode::without_whitespace_at_end(text).empty(); }

}  // namespace

TextPairReader::TextPairReader(const TextPairsOptions& options, datasets::Rejects& rejects)
    : options_(options), rejects_(rejects), source_(options.source, rejects) {
  std::vector<datasets::TableColumn> columns;
  const auto place = [&](const std::string& name) {
    const auto found = std::ranges::find(columns, name, &datasets::TableColumn::name);
    const int64_t at = found - columns.begin();
    if (found == columns.end()) columns.push_back({name});
    return at;
  };
  hypothesis_ = place(options.hypothesis);
  for (const auto& column : options.references) references_.push_back(place(column));
  if (options.id) id_ = place(*options.id);
  if (options.group) group_ = place(*options.group);
  source_.select(columns);
  if (options.reference_table) read_references(*options.reference_table);
}

void TextPairReader::read_references(const ReferenceTableConfig& config) {
  datasets::TableReader reader(config.table, rejects_);
  std::vector<datasets::TableColumn> columns = {{config.id}};
  for (const auto& column : config.columns) columns.push_back({column});
  reader.select(columns);
  for (datasets::TableBatch batch; reader.next(batch);) {
    for (int64_t row = 0; row < std::ssize(batch.rows); row++) {
      auto& texts = by_id_[std::string(value(batch, 0, row))].texts;
      for (int64_t column = 1; column < std::ssize(columns); column++) {
        const auto text = value(batch, column, row);
        if (!blank(text)) texts.emplace_back(text);
      }
    }
  }
}

std::vector<std::string_view> TextPairReader::references_of(int64_t row) {
  std::vector<std::string_view> found;
  for (const int64_t column : references_) {
    const auto text = value(batch_, column, row);
    if (!blank(text)) found.push_back(text);
  }
  if (!options_.reference_table) return found;
  const auto entry = by_id_.find(std::string(value(batch_, *id_, row)));
  if (entry == by_id_.end()) return found;
  entry->second.used = true;
  return {entry->second.texts.begin(), entry->second.texts.end()};
}

bool TextPairReader::next(TextPairs& pairs) {
  pairs = {};
  if (!source_.next(batch_)) return false;
  const bool compares = options_.reference_table || !options_.references.empty();
  for (int64_t row = 0; row < std::ssize(batch_.rows); row++) {
    auto references = references_of(row);
    const auto hypothesis = value(batch_, hypothesis_, row);
    if (compares && references.empty()) {
      rejects_.add(batch_.file, batch_.rows[row], "reference is missing", hypothesis);
      continue;
    }
    if (too_long(hypothesis) || std::ranges::any_of(references, too_long)) {
      rejects_.add(batch_.file, batch_.rows[row], too_long_reason, hypothesis);
      continue;
    }
    pairs.rows.push_back(batch_.earlier + batch_.rows[row]);
    pairs.hypotheses.push_back(hypothesis);
    if (id_) pairs.ids.push_back(value(batch_, *id_, row));
    if (group_) pairs.groups.push_back(value(batch_, *group_, row));
    pairs.references.push_back(std::move(references));
  }
  return true;
}

int64_t TextPairReader::unused_ids() const {
  return std::ranges::count_if(by_id_, [](const auto& entry) { return !entry.second.used; });
}

}  // namespace sartor::inference
