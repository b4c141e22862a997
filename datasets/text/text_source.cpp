#include "text/text_source.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "tables/table_reader.h"
#include "text/template.h"

namespace sartor::datasets {
namespace {

bool blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == text.npos; }

bool read_number(std::string_view text, double& number) {
  const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
  return error == std::errc() && end == text.end() && std::isfinite(number);
}

std::vector<std::string> parts(std::string_view text, std::string_view separator) {
  std::vector<std::string> found;
  while (!text.empty()) {
    const auto end = text.find(separator);
    if (const auto part = text.substr(0, end); !part.empty()) found.emplace_back(part);
    text.remove_prefix(end == text.npos ? text.size() : end + separator.size());
  }
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace

void TextConfig::check() const {
  require(!sources.empty(), "sources is empty, expected at least one table");
  text::Template{text};
  if (pair) text::Template{*pair};
  for (const auto& source : sources) {
    require(label.kind == LabelKind::none || label.column.has_value() != source.label.has_value(),
            "the labels of {} come from {}", source.table.path,
            source.label ? "its label and a column, expected one of them" : "nowhere: give label.column or its label");
    require(label.kind != LabelKind::none || (!label.column && !source.label),
            "label.kind is none, but labels are given");
  }
}

class TextSource::Rows {
 public:
  Rows(const TextConfig& config, const TextTableConfig& table, Rejects& rejects)
      : config_(config), table_(table), rejects_(rejects), reader_(table.table, rejects), text_(config.text) {
    if (config.pair) pair_.emplace(*config.pair);
    std::vector<TableColumn> selected;
    const auto place_of = [&](const std::string& name) {
      const auto found = std::ranges::find(selected, name, &TableColumn::name);
      if (found != selected.end()) return static_cast<size_t>(found - selected.begin());
      selected.push_back({name});
      return selected.size() - 1;
    };
    for (const auto& name : text_.columns()) text_places_.push_back(place_of(name));
    if (pair_) {
      for (const auto& name : pair_->columns()) pair_places_.push_back(place_of(name));
    }
    if (config.label.column) label_place_ = place_of(*config.label.column);
    reader_.select(selected);
  }

  bool next(TextBatch& batch) {
    TableBatch rows;
    if (!reader_.next(rows)) return false;
    batch = {.part = table_.part};
    for (int64_t row = 0; row < rows.columns->num_rows(); row++) {
      const auto value = [&](size_t place) {
        return static_cast<const arrow::StringArray&>(*rows.columns->column(static_cast<int>(place))).GetView(row);
      };
      auto text = text_.fill([&](size_t i) { return value(text_places_[i]); });
      auto pair = pair_ ? pair_->fill([&](size_t i) { return value(pair_places_[i]); }) : "";
      const auto label = label_place_ ? value(*label_place_) : std::string_view(table_.label ? *table_.label : "");
      const char* reason = blank(text) ? "text is missing" : pair_ && blank(pair) ? "second text is missing" : nullptr;
      if (!reason) reason = add_label(label, batch);
      if (reason) {
        rejects_.add(rows.file, rows.rows[row], reason, label.empty() ? std::string_view(text) : label);
        continue;
      }
      batch.texts.push_back(std::move(text));
      if (pair_) batch.pairs.push_back(std::move(pair));
    }
    return true;
  }

 private:
  // Adds the row's label, or says why it has none.
  const char* add_label(std::string_view label, TextBatch& batch) const {
    const auto& config = config_.label;
    if (config.kind == LabelKind::none) return nullptr;
    std::vector<std::string> classes;
    if (config.kind == LabelKind::regression || (config.negative_below && label_place_)) {
      double number = 0;
      if (!read_number(label, number)) return label.empty() ? "label is missing" : "label is not a number";
      if (config.kind == LabelKind::regression) return batch.numbers.push_back(number), nullptr;
      if (number >= *config.negative_below && number < *config.positive_from) return "label is between the classes";
      const size_t positive = number >= *config.positive_from;
      classes = {config.names.empty() ? std::string(positive ? "positive" : "negative") : config.names[positive]};
    } else if (config.kind == LabelKind::multi_label) {
      classes = parts(label, config.separator);
    } else {
      if (label.empty()) return "label is missing";
      classes = {std::string(label)};
    }
    for (const auto& name : classes) {
      if (!config.names.empty() && std::ranges::find(config.names, name) == config.names.end()) {
        return "label is none of label.names";
      }
    }
    batch.classes.push_back(std::move(classes));
    return nullptr;
  }

  const TextConfig& config_;
  const TextTableConfig& table_;
  Rejects& rejects_;
  TableReader reader_;
  text::Template text_;
  std::optional<text::Template> pair_;
  std::vector<size_t> text_places_, pair_places_;
  std::optional<size_t> label_place_;
};

TextSource::TextSource(const TextConfig& config, Rejects& rejects) : config_(config), rejects_(rejects) {}
TextSource::~TextSource() = default;

bool TextSource::next(TextBatch& batch) {
  while (true) {
    if (!rows_) {
      if (opened_ == config_.sources.size()) return batch = {}, false;
      rows_ = std::make_unique<Rows>(config_, config_.sources[opened_++], rejects_);
    }
    if (rows_->next(batch)) return true;
    rows_.reset();
  }
}

}  // namespace sartor::datasets
