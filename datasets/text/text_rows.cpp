#include "text/text_rows.h"

namespace sartor::text {
namespace {

constexpr size_t window_bytes = size_t{64} << 20;  // size of the texts at which a window ends

std::vector<std::string> columns_of(const TextRowsOptions& options) {
  auto columns = options.keep;
  if (options.id) columns.push_back(*options.id);
  return columns;
}

std::vector<TextTemplate> templates_of(const TextRowsOptions& options) {
  std::vector<TextTemplate> texts = {{.pattern = options.text, .may_be_blank = options.may_be_blank}};
  if (options.pair) texts.push_back({*options.pair, "second text"});
  return texts;
}

}  // namespace

TextRows::TextRows(TextRowsOptions options, std::function<int64_t()> next_part)
    : options_(std::move(options)),
      next_part_(std::move(next_part)),
      records_(options_.source, templates_of(options_), columns_of(options_)) {}

int64_t TextRows::parts() const { return (records_.place() + options_.rows_per_part - 1) / options_.rows_per_part; }

bool TextRows::open_part() {
  const int64_t part = next_part_(), first = part * options_.rows_per_part, end = first + options_.rows_per_part;
  records_.seek(first, options_.shared ? std::optional(end) : std::nullopt);
  if (!records_.more()) return false;
  part_ = part;
  return true;
}

bool TextRows::next(TextWindow& window) {
  if (!part_ && !open_part()) return false;
  window = {.part = *part_, .kept = std::vector<datasets::StringColumn>(options_.keep.size())};
  const int64_t end = (*part_ + 1) * options_.rows_per_part;
  size_t bytes = 0;  // of invalid texts
  const auto full = [&] {
    size_t held = bytes + window.texts.bytes.size() + window.pairs.bytes.size();
    for (const auto& column : window.kept) held += column.bytes.size();
    return window.size() == options_.window || held >= window_bytes;
  };
  while (records_.place() < end && records_.more() && !full()) {
    const size_t unfit = window.unfit.size();
    take(window);
    records_.skip();
    if (window.unfit.size() > unfit) bytes += window.unfit.back().text.size();
  }
  window.ends_part = records_.place() == end || !records_.more();
  if (window.ends_part) part_.reset();
  return true;
}

void TextRows::take(TextWindow& window) const {
  const auto texts = window.texts.bytes.size(), pairs = window.pairs.bytes.size();
  auto unfit = records_.append_texts({&window.texts.bytes, &window.pairs.bytes});
  const auto id = unfit || !options_.id ? std::string_view() : records_.column(options_.keep.size());
  if (!unfit && options_.id && (id.empty() || id.find('\0') != id.npos)) {
    unfit = records_.unfit(id.empty() ? "id is missing" : "id holds a zero byte",
                           std::string_view(window.texts.bytes).substr(texts));
  }
  if (unfit) {
    window.texts.bytes.resize(texts);
    window.pairs.bytes.resize(pairs);
    window.unfit.push_back(std::move(*unfit));
    return;
  }
  window.rows.push_back(records_.row());
  if (options_.places) window.places.push_back(records_.place_in_file());
  window.texts.ends.push_back(std::ssize(window.texts.bytes));
  if (options_.pair) window.pairs.ends.push_back(std::ssize(window.pairs.bytes));
  if (options_.id) window.ids.push_back(id);
  for (size_t i = 0; i < options_.keep.size(); i++) window.kept[i].push_back(records_.column(i));
}

}  // namespace sartor::text
