#include "text/text_source.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include "records/decimal.h"
#include "tables/presets.h"
#include "text/generation.h"

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

std::vector<TextTemplate> templates_of(const TextConfig& config, const GenerationConfig* generation) {
  if (!generation || !config.pair) {
    std::vector<TextTemplate> texts = {{config.text}};
    if (config.pair) texts.push_back({*config.pair, "second text"});
    return texts;
  }
  std::vector<TextTemplate> texts = {{config.text, "prompt", true}};
  if (!generation->rejected) {
    texts.push_back({*config.pair, "completion"});
  } else {
    texts.push_back({*config.pair, "chosen text"});
    texts.push_back({*generation->rejected, "rejected text"});
  }
  return texts;
}

// The label's column, or those of a generator's weight and score.
std::vector<std::string> columns_of(const TextConfig& config, const GenerationConfig* generation) {
  std::vector<std::string> columns;
  const auto add = [&](const std::optional<std::string>& column) {
    if (column) columns.push_back(*column);
  };
  if (generation) {
    add(generation->weight);
    add(generation->score);
  } else {
    add(config.label.column);
  }
  return columns;
}

template <class Values> void keep_values(Values& values, const std::vector<bool>& kept) {
  if (values.empty()) return;
  size_t size = 0;
  for (size_t i = 0; i < kept.size(); i++) {
    if (kept[i]) std::swap(values[size++], values[i]);
  }
  values.resize(size);
}

}  // namespace

void TextBatch::keep(const std::vector<bool>& kept) {
  keep_values(rows, kept);
  for (auto* strings : {&texts, &pairs, &rejected}) keep_values(*strings, kept);
  keep_values(weights, kept);
  keep_values(scores, kept);
  keep_values(places, kept);
}

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
  Rows(const TextConfig& config, const GenerationConfig* generation, const TextTableConfig& table, int64_t earlier,
       datasets::Rejects& rejects)
      : config_(config),
        generation_(generation),
        table_(table),
        earlier_(earlier),
        rejects_(rejects),
        records_(table.table, templates_of(config, generation), columns_of(config, generation), table.constants) {}

  bool next(TextBatch& batch) {
    batch = {.part = table_.part};
    for (size_t bytes = 0; bytes < batch_bytes && records_.more(); records_.skip()) {
      std::string text, pair, rejected;
      auto unfit = records_.append_texts({&text, &pair, &rejected});
      if (!unfit) unfit = generation_ ? add_numbers(text, pair, rejected, batch) : add_label_of_row(text, batch);
      if (unfit) {
        rejects_.add(unfit->file, unfit->row, unfit->reason, unfit->text);
        continue;
      }
      bytes += text.size() + pair.size() + rejected.size();
      batch.rows.push_back(earlier_ + records_.row());
      batch.texts.push_back(std::move(text));
      if (config_.pair) batch.pairs.push_back(std::move(pair));
      if (!generation_) continue;
      if (generation_->rejected) batch.rejected.push_back(std::move(rejected));
      batch.places.push_back(records_.place_in_file());
    }
    return batch.size() > 0;
  }

  // Records of this table and all earlier ones; valid at the end.
  int64_t rows() const { return earlier_ + records_.rows(); }

 private:
  std::optional<UnfitRow> add_label_of_row(const std::string& text, TextBatch& batch) const {
    const auto label = label_of_row();
    const char* reason = add_label(label, batch);
    return reason ? std::optional(records_.unfit(reason, label.empty() ? text : label)) : std::nullopt;
  }

  // Adds the weight and the score of a generator's row. Returns the reason if the row is invalid.
  std::optional<UnfitRow> add_numbers(const std::string& text, const std::string& pair, const std::string& rejected,
                                      TextBatch& batch) const {
    if (generation_->rejected && pair == rejected) {
      return records_.unfit("chosen and rejected texts are equal", pair);
    }
    double weight = 1, score = 0;
    const auto read = [&](const char* name, size_t column, double& number) -> std::optional<UnfitRow> {
      const auto value = records_.column(column);
      if (value.empty()) return records_.unfit(std::string(name) + " is missing", text);
      const bool finite =
          datasets::parse_decimal(value, table_.table.decimal, number) && std::isfinite(static_cast<float>(number));
      if (!finite) return records_.unfit(std::string(name) + " is not a number", value);
      return std::nullopt;
    };
    if (generation_->weight) {
      if (auto unfit = read("weight", 0, weight)) return unfit;
      if (weight < 0) return records_.unfit("weight is negative", records_.column(0));
    }
    if (generation_->score) {
      if (auto unfit = read("score", generation_->weight ? 1 : 0, score)) return unfit;
    }
    if (generation_->weight) batch.weights.push_back(static_cast<float>(weight));
    if (generation_->score) batch.scores.push_back(score);
    return std::nullopt;
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
  const GenerationConfig* generation_;
  const TextTableConfig& table_;
  int64_t earlier_;  // records of earlier tables
  datasets::Rejects& rejects_;
  TextRecords records_;
};

TextSource::TextSource(const TextConfig& config, datasets::Rejects& rejects, const GenerationConfig* generation)
    : config_(config), rejects_(rejects), generation_(generation) {}
TextSource::~TextSource() = default;

bool TextSource::next(TextBatch& batch) {
  while (true) {
    if (!rows_) {
      if (opened_ == config_.sources.size()) {
        batch = {};
        return false;
      }
      rows_ = std::make_unique<Rows>(config_, generation_, config_.sources[opened_++], rows_before_, rejects_);
    }
    if (rows_->next(batch)) return true;
    rows_before_ = rows_->rows();
    rows_.reset();
  }
}

}  // namespace sartor::text
