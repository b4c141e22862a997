#include "text/text_records.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>

#include "encodings/unicode.h"

namespace sartor::text {
namespace {

constexpr size_t constant_place = SIZE_MAX;  // place of the first constant; the next ones are below it

}  // namespace

TextRecords::TextRecords(const datasets::TableConfig& table, const std::vector<TextTemplate>& texts,
                         const std::vector<std::string>& columns, std::vector<ConstantColumn> constants)
    : reader_(table), constants_(std::move(constants)) {
  std::vector<datasets::TableColumn> selected;
  for (const auto& [pattern, name, may_be_blank] : texts) {
    const Template parsed(pattern);
    texts_.push_back({parsed, places_of(parsed.columns(), selected), may_be_blank ? "" : name + " is missing"});
  }
  column_places_ = places_of(columns, selected);
  reader_.select(std::move(selected));
}

std::vector<size_t> TextRecords::places_of(const std::vector<std::string>& names,
                                           std::vector<datasets::TableColumn>& selected) const {
  std::vector<size_t> places;
  for (const auto& name : names) {
    if (const auto found = std::ranges::find(constants_, name, &ConstantColumn::column); found != constants_.end()) {
      places.push_back(constant_place - (found - constants_.begin()));
      continue;
    }
    const auto found = std::ranges::find(selected, name, &datasets::TableColumn::name);
    places.push_back(found - selected.begin());
    if (found == selected.end()) selected.push_back({name});
  }
  return places;
}

bool TextRecords::more() {
  while (left_in_batch() == 0) {
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

void TextRecords::seek(int64_t first, std::optional<int64_t> end) {
  while (place_ < first && left_in_batch() > 0) skip();
  if (left_in_batch() == 0) place_ += reader_.skip(first - place_);
  if (end) reader_.want(*end - place_ - left_in_batch());
  while (place_ < first && more()) skip();
}

std::optional<UnfitRow> TextRecords::append_texts(std::initializer_list<std::string*> to) const {
  if (at_bad()) {
    const auto& [record, reason, line] = batch_.bad[bad_];
    return UnfitRow{batch_.file, record, reason, line};
  }
  const size_t begin = (*to.begin())->size();
  for (size_t i = 0; i < texts_.size(); i++) {
    const auto& [pattern, places, missing] = texts_[i];
    std::string& text = **(to.begin() + i);
    const size_t before = text.size();
    pattern.append([&](size_t slot) { return value(places[slot]); }, text);
    if (!missing.empty() && unicode::is_blank(std::string_view(text).substr(before))) {
      return unfit(missing, std::string_view(**to.begin()).substr(begin));
    }
  }
  return std::nullopt;
}

UnfitRow TextRecords::unfit(std::string reason, std::string_view text) const {
  return {batch_.file, batch_.rows[row_], std::move(reason), std::string(text)};
}

bool TextRecords::at_bad() const {
  return bad_ < std::ssize(batch_.bad) &&
         (row_ == std::ssize(batch_.rows) || batch_.bad[bad_].record < batch_.rows[row_]);
}

std::string_view TextRecords::value(size_t place) const {
  if (place > constant_place - constants_.size()) return constants_[constant_place - place].value;
  return columns_[place]->GetView(row_);
}

}  // namespace sartor::text
