#include "text/text_source.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include "records/decimal.h"
#include "tables/presets.h"
#include "text/text_records.h"

namespace sartor::text {
namespace {

constexpr size_t batch_bytes = size_t{1} << 20;  // size of the texts at which a batch ends

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
  Template{text};
  if (pair) Template{*pair};
  for (const auto& source : sources) {
    require(label.kind == LabelKind::none || label.column.has_value() != source.label.has_value(),
            "{}: expected labels either from label.column or from the source's label, found {}", source.table.path,
            source.label ? "both" : "neither");
    require(label.kind != LabelKind::none || (!label.column && !source.label),
            "label.kind is none, but labels are given");
  }
}

std::vector<std::filesystem::path> files_to_read(const TextConfig& config) {
  std::vector<std::filesystem::path> files;
  for (const auto& source : config.sources) std::ranges::move(files_to_read(source.table), std::back_inserter(files));
  return files;
}

class TextSource::Rows {
 public:
  Rows(const TextConfig& config, const TextTableConfig& table, int64_t earlier, datasets::Rejects& rejects)
      : config_(config),
        table_(table),
        earlier_(earlier),
        rejects_(rejects),
        records_(table.table, config.text, config.pair, columns_of(config)) {}

  bool next(TextBatch& batch) {
    batch = {.part = table_.part};
    for (size_t bytes = 0; bytes < batch_bytes && records_.more(); records_.skip()) {
      std::string text, pair;
      auto unfit = records_.append_texts(text, pair);
      if (!unfit) {
        const auto label = label_of_row();
        const char* reason = add_label(label, batch);
        if (reason) unfit = records_.unfit(reason, label.empty() ? text : label);
      }
      if (unfit) {
        rejects_.add(unfit->file, unfit->row, unfit->reason, unfit->text);
        continue;
      }
      bytes += text.size() + pair.size();
      batch.rows.push_back(earlier_ + records_.row());
      batch.texts.push_back(std::move(text));
      if (config_.pair) batch.pairs.push_back(std::move(pair));
    }
    return batch.size() > 0;
  }

  // Records of this table and all earlier ones; valid at the end.
  int64_t rows() const { return earlier_ + records_.rows(); }

 private:
  static std::vector<std::string> columns_of(const TextConfig& config) {
    return config.label.column ? std::vector{*config.label.column} : std::vector<std::string>();
  }

  std::string_view label_of_row() const {
    if (config_.label.column) return records_.column(0);
    return table_.label ? std::string_view(*table_.label) : std::string_view();
  }

  // Adds the row's label. Returns the reason if it is invalid, otherwise nullptr.
  const char* add_label(std::string_view label, TextBatch& batch) const {
    const auto& config = config_.label;
    if (config.kind == LabelKind::none) return nullptr;
    if (label.find('\0') != label.npos) return "label holds a zero byte";
    std::vector<std::string> classes;
    if (config.kind == LabelKind::regression || (config.negative_below && config.column)) {
      double number = 0;
      const bool finite = datasets::parse_decimal(label, table_.table.decimal, number) && std::isfinite(number);
      if (!finite) return label.empty() ? "label is missing" : "label is not a number";
      if (config.kind == LabelKind::regression) {
        batch.numbers.push_back(number);
        return nullptr;
      }
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
        return "label is not in label.names";
      }
    }
    batch.classes.push_back(std::move(classes));
    return nullptr;
  }

  const TextConfig& config_;
  const TextTableConfig& table_;
  int64_t earlier_;  // records of earlier tables
  datasets::Rejects& rejects_;
  TextRecords records_;
};

TextSource::TextSource(const TextConfig& config, datasets::Rejects& rejects) : config_(config), rejects_(rejects) {}
TextSource::~TextSource() = default;

bool TextSource::next(TextBatch& batch) {
  while (true) {
    if (!rows_) {
      if (opened_ == config_.sources.size()) {
        batch = {};
        return false;
      }
      rows_ = std::make_unique<Rows>(config_, config_.sources[opened_++], rows_before_, rejects_);
    }
    if (rows_->next(batch)) return true;
    rows_before_ = rows_->rows();
    rows_.reset();
  }
}

}  // namespace sartor::text
