#include "text/text_rows.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <string_view>

#include "tables/table_reader.h"
#include "text/template.h"

namespace sartor::datasets {
namespace {

constexpr size_t window_bytes = size_t{64} << 20;  // of texts, at which a window ends

bool blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == text.npos; }

}  // namespace

// The table's records one after the other, those that are broken in their places among the others.
class TextRows::Source {
 public:
  explicit Source(const TextRowsOptions& options) : reader_(options.source), text_(options.text) {
    if (options.pair) pair_.emplace(*options.pair);
    std::vector<TableColumn> selected;
    const auto place_of = [&](const std::string& name) {
      const auto found = std::ranges::find(selected, name, &TableColumn::name);
      const auto place = found - selected.begin();
      if (found == selected.end()) selected.push_back({name});
      return static_cast<size_t>(place);
    };
    for (const auto& name : text_.columns()) text_places_.push_back(place_of(name));
    if (pair_) {
      for (const auto& name : pair_->columns()) pair_places_.push_back(place_of(name));
    }
    for (const auto& name : options.keep) kept_places_.push_back(place_of(name));
    if (options.id) id_place_ = place_of(*options.id);
    reader_.select(std::move(selected));
  }

  int64_t place() const { return place_; }  // of the record that comes next

  // Whether there is one; reads on if need be.
  bool more() {
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

  void skip() {
    ++(at_bad() ? bad_ : row_);
    place_++;
  }

  void take(TextWindow& window) {
    if (at_bad()) {
      auto& [record, reason, text] = batch_.bad[bad_];
      window.unfit.push_back({batch_.file, record, std::move(reason), std::move(text)});
    } else {
      take_row(window);
    }
    skip();
  }

 private:
  bool at_bad() const {
    return bad_ < batch_.bad.size() && (row_ == batch_.rows.size() || batch_.bad[bad_].record < batch_.rows[row_]);
  }

  void take_row(TextWindow& window) const {
    const auto value = [&](size_t place) { return columns_[place]->GetView(static_cast<int64_t>(row_)); };
    const auto fill = [&](const text::Template& pattern, const std::vector<size_t>& places, StringColumn& column) {
      const size_t begin = column.bytes.size();
      pattern.append([&](size_t i) { return value(places[i]); }, column.bytes);
      column.ends.push_back(std::ssize(column.bytes));
      return std::string_view(column.bytes).substr(begin);
    };
    const auto take_back = [](StringColumn& column) {
      column.ends.pop_back();
      column.bytes.resize(column.ends.empty() ? 0 : column.ends.back());
    };
    const auto text = fill(text_, text_places_, window.texts);
    const auto pair = pair_ ? fill(*pair_, pair_places_, window.pairs) : std::string_view();
    const auto id = id_place_ ? value(*id_place_) : std::string_view();
    const char* reason = blank(text)                ? "text is missing"
                         : pair_ && blank(pair)     ? "second text is missing"
                         : id_place_ && id.empty()  ? "id is missing"
                         : id.find('\0') != id.npos ? "id holds a zero byte"
                                                    : nullptr;
    if (reason) {
      window.unfit.push_back({batch_.file, batch_.rows[row_], reason, std::string(text)});
      take_back(window.texts);
      if (pair_) take_back(window.pairs);
      return;
    }
    window.rows.push_back(place_);
    if (id_place_) window.ids.push_back(id);
    for (size_t i = 0; i < kept_places_.size(); i++) window.kept[i].push_back(value(kept_places_[i]));
  }

  TableReader reader_;
  text::Template text_;
  std::optional<text::Template> pair_;
  std::vector<size_t> text_places_, pair_places_, kept_places_;  // in columns_
  std::optional<size_t> id_place_;
  TableBatch batch_ = {};
  std::vector<const arrow::StringArray*> columns_;  // of the batch
  size_t row_ = 0, bad_ = 0;                        // next ones of the batch
  int64_t place_ = 0;
};

TextRows::TextRows(TextRowsOptions options, std::function<bool(int64_t part)> wanted)
    : options_(std::move(options)), wanted_(std::move(wanted)), source_(std::make_unique<Source>(options_)) {}
TextRows::~TextRows() = default;

int64_t TextRows::parts() const { return (source_->place() + options_.rows_per_part - 1) / options_.rows_per_part; }

bool TextRows::next(TextWindow& window) {
  window = {.part = part_.value_or(0), .kept = std::vector<StringColumn>(options_.keep.size())};
  size_t bytes = 0;  // of unfit texts
  const auto full = [&] {
    size_t held = bytes + window.texts.bytes.size() + window.pairs.bytes.size();
    for (const auto& column : window.kept) held += column.bytes.size();
    return window.size() == options_.window || held >= window_bytes;
  };
  while (source_->more()) {
    const int64_t part = source_->place() / options_.rows_per_part;
    if (!part_) {
      if (!wanted_(part)) {
        while (source_->more() && source_->place() / options_.rows_per_part == part) source_->skip();
        continue;
      }
      window.part = part;
      part_ = part;
    } else if (part != *part_) {
      break;
    }
    const size_t unfit = window.unfit.size();
    source_->take(window);
    if (window.unfit.size() > unfit) bytes += window.unfit.back().text.size();
    if (full()) return true;
  }
  if (!part_) return false;
  part_.reset();
  return window.ends_part = true;
}

}  // namespace sartor::datasets
