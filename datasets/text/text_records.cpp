#include "text/text_records.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>

#include "encodings/unicode.h"

namespace sartor::text {
namespace {

// Whether a text (valid UTF-8) has no visible character: only whitespace, zero-width and control characters.
bool blank(std::string_view text) {
  for (const char *at = text.begin(), *end = text.end(); at < end;) {
    const auto properties = unicode::properties(unicode::next_character(at));
    if (!(properties & (unicode::whitespace | unicode::control))) return false;
  }
  return true;
}

}  // namespace

TextRecords::TextRecords(const datasets::TableConfig& table, const std::string& text,
                         const std::optional<std::string>& pair, const std::vector<std::string>& columns)
    : reader_(table), text_(text) {
  if (pair) pair_.emplace(*pair);
  std::vector<datasets::TableColumn> selected;
  const auto places_of = [&](const std::vector<std::string>& names) {
    std::vector<size_t> places;
    for (const auto& name : names) {
      const auto found = std::ranges::find(selected, name, &datasets::TableColumn::name);
      places.push_back(found - selected.begin());
      if (found == selected.end()) selected.push_back({name});
    }
    return places;
  };
  text_places_ = places_of(text_.columns());
  if (pair_) pair_places_ = places_of(pair_->columns());
  column_places_ = places_of(columns);
  reader_.select(std::move(selected));
}

bool TextRecords::more() {
  while (row_ == batch_.rows.size() && bad_ == batch_.bad.size()) {
    if (!reader_.next(batch_)) return false;
    row_ = bad_ = 0;
    columns_.clear();
    for (const auto& column : batch_.columns->columns()) {
      columns_.push_back(static_cast<const arrow::StringArray*>(column.get()));
    }
  }
  return true;
}

void TextRecords::skip() {
  ++(at_bad() ? bad_ : row_);
  place_++;
}

std::optional<UnfitRow> TextRecords::append_texts(std::string& text, std::string& pair) const {
  if (at_bad()) {
    const auto& [record, reason, line] = batch_.bad[bad_];
    return UnfitRow{batch_.file, record, reason, line};
  }
  const auto append = [&](const Template& pattern, const std::vector<size_t>& places, std::string& to) {
    const size_t begin = to.size();
    pattern.append([&](size_t i) { return value(places[i]); }, to);
    return std::string_view(to).substr(begin);
  };
  const auto first = append(text_, text_places_, text);
  if (blank(first)) return unfit("text is missing", first);
  if (pair_ && blank(append(*pair_, pair_places_, pair))) return unfit("second text is missing", first);
  return std::nullopt;
}

UnfitRow TextRecords::unfit(std::string reason, std::string_view text) const {
  return {batch_.file, batch_.rows[row_], std::move(reason), std::string(text)};
}

bool TextRecords::at_bad() const {
  return bad_ < batch_.bad.size() && (row_ == batch_.rows.size() || batch_.bad[bad_].record < batch_.rows[row_]);
}

std::string_view TextRecords::value(size_t place) const { return columns_[place]->GetView(static_cast<int64_t>(row_)); }

}  // namespace sartor::text
