#include "copy/copy_table.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include <cmath>
#include <limits>
#include <set>

#include "jobs/job_files.h"
#include "storage/sha256.h"
#include "tables/table_reader.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;
using datasets::ColumnType;

// Columns of a text in the output, and then those that only parts have.
enum Place : size_t {
  variant,
  draw,
  prompt_hash,
  model,
  config,
  seed,
  text,
  log_probability,
  sampled_log_probability,
  tokens,
  end,
  rejected,
  masked,
  fate,
  prompt,
  first_kind
};
const std::vector<datasets::ColumnSpec> text_columns = {{"variant", ColumnType::int64},
                                                        {"draw", ColumnType::int64},
                                                        {"prompt_hash", ColumnType::text},
                                                        {"model_hash", ColumnType::text},
                                                        {"config_hash", ColumnType::text},
                                                        {"seed", ColumnType::int64},
                                                        {"text", ColumnType::text},
                                                        {"log_probability", ColumnType::float64},
                                                        {"sampled_log_probability", ColumnType::float64},
                                                        {"tokens", ColumnType::int64},
                                                        {"end", ColumnType::text},
                                                        {"rejected", ColumnType::text},
                                                        {"masked", ColumnType::int64}};

std::string joined(const std::vector<Verdict>& verdicts) {
  std::string names;
  for (const auto verdict : verdicts) names += (names.empty() ? "" : "|") + std::string(name_of(verdict));
  return names;
}

// A batch of a part.
class PartBatch {
 public:
  PartBatch(const arrow::RecordBatch& batch, size_t given) : batch_(batch), given_(given) {}

  int64_t rows() const { return batch_.num_rows(); }
  std::string_view text_at(size_t column, int64_t row) const {
    return static_cast<const arrow::StringArray&>(*batch_.column(static_cast<int>(column))).GetView(row);
  }
  int64_t integer_at(size_t column, int64_t row) const {
    return static_cast<const arrow::Int64Array&>(*batch_.column(static_cast<int>(column))).Value(row);
  }
  double number_at(size_t column, int64_t row) const {
    const auto& numbers = static_cast<const arrow::DoubleArray&>(*batch_.column(static_cast<int>(column)));
    return numbers.IsNull(row) ? std::numeric_limits<double>::quiet_NaN() : numbers.Value(row);
  }

  CopyRecord record(int64_t row, bool has_id) const {
    CopyRecord found = {.row = integer_at(0, row),
                        .id = has_id ? text_at(1, row) : std::string_view(),
                        .prompt = text_at(given_ + prompt, row),
                        .variant = integer_at(given_ + variant, row),
                        .tokens = integer_at(given_ + tokens, row),
                        .text = text_at(given_ + text, row),
                        .end = text_at(given_ + end, row),
                        .rejected = text_at(given_ + rejected, row),
                        .log_probability = number_at(given_ + log_probability, row),
                        .fate = value_of<Fate>(text_at(given_ + fate, row))};
    for (size_t kind = 0; kind < privacy::kind_names.size(); kind++) {
      found.masked.counts[kind] = integer_at(given_ + first_kind + kind, row);
    }
    return found;
  }

  void copy(int64_t row, const std::vector<datasets::ColumnSpec>& columns, TableRows& to) const {
    for (size_t column = 0; column < columns.size(); column++) {
      switch (columns[column].type) {
        case ColumnType::text:
          to.add(text_at(column, row));
          break;
        case ColumnType::int64:
          to.add(integer_at(column, row));
          break;
        default:
          to.add(number_at(column, row));
      }
    }
  }

 private:
  const arrow::RecordBatch& batch_;
  const size_t given_;
};

}  // namespace

std::string short_hash(std::string_view text) { return datasets::sha256(text).substr(0, 16); }

std::string model_hash(const fs::path& folder) {
  std::string all;
  for (const auto& file : model_files(folder)) {
    all += file.filename().string() + " " + datasets::sha256_file(file) + "\n";
  }
  return short_hash(all);
}

CopyTable::CopyTable(const GenerateConfig& config, std::string model_hash, std::function<void(const CopyRecord&)> visit)
    : config_(config), model_hash_(std::move(model_hash)), config_hash_(config_hash(config)), visit_(std::move(visit)) {
  columns_.push_back({"row", ColumnType::int64});
  if (config.id) columns_.push_back({"id", ColumnType::text});
  for (const auto& name : config.keep) columns_.push_back({name, ColumnType::text});
  given_ = columns_.size();
  part_columns_ = columns_;
  part_columns_.insert(part_columns_.end(), text_columns.begin(), text_columns.end());
  columns_ = part_columns_;
  if (!config.mask_pii) columns_.pop_back();
  std::set<std::string> names;
  for (const auto& [name, type] : columns_) {
    require(names.insert(name).second, "the output would have two columns {}: remove it from keep", name);
  }
  for (const std::string name : {"fate", "prompt"}) part_columns_.push_back({name + " of the part", ColumnType::text});
  for (const auto& name : privacy::kind_names) {
    part_columns_.push_back({std::string(name) + " of the part", ColumnType::int64});
  }
  rows_.emplace(part_columns_);
}

void CopyTable::begin(const fs::path& part) { writer_.emplace(part, part_columns_, /*overwrite=*/true); }

void CopyTable::append(const PromptWindow& window, std::vector<std::vector<Copy>> texts) {
  for (int64_t row = 0; row < window.size(); row++) {
    for (const auto& copy : texts[row]) add(window, row, copy, &copy == &texts[row].front());
  }
  rows_->move_to(*writer_);
}

void CopyTable::add(const PromptWindow& window, int64_t row, const Copy& copy, bool first) {
  const auto& prompt = window.rows[row];
  const auto& written = copy.written;
  rows_->add(prompt.row);
  if (config_.id) rows_->add(window.ids[row]);
  for (const auto& column : window.kept) rows_->add(column[row]);
  rows_->add(copy.variant);
  rows_->add(int64_t{written.variant});
  rows_->add(short_hash(prompt.text));
  rows_->add(model_hash_);
  rows_->add(config_hash_);
  rows_->add(config_.decoding.seed);
  rows_->add(written.text);
  rows_->add(written.log_probability);
  rows_->add(written.sampled_log_probability);
  rows_->add(static_cast<int64_t>(written.ids.size()));
  rows_->add(name_of(written.end));
  rows_->add(joined(copy.verdicts));
  rows_->add(prompt.masked.total());
  rows_->add(name_of(copy.fate));
  rows_->add(first ? std::string_view(prompt.text) : std::string_view());
  for (const auto count : prompt.masked.counts) rows_->add(count);
}

void CopyTable::end() {
  writer_->finish();
  writer_.reset();
}

int64_t CopyTable::join(const std::vector<fs::path>& parts, const fs::path& output,
                        const std::function<void()>& between) {
  datasets::TableWriter whole(output, columns_, /*overwrite=*/true);
  TableRows rows(columns_);
  std::vector<datasets::TableColumn> selected;
  for (const auto& [name, type] : part_columns_) selected.push_back({name, type == ColumnType::text});
  int64_t row_before = -1;
  for (const auto& part : parts) {
    datasets::TableReader reader({.path = part});
    reader.select(selected);
    for (datasets::TableBatch batch; reader.next(batch);) {
      between();
      const PartBatch texts(*batch.columns, given_);
      for (int64_t i = 0; i < texts.rows(); i++) {
        auto record = texts.record(i, config_.id.has_value());
        record.first_of_row = std::exchange(row_before, record.row) != record.row;
        visit_(record);
        if (record.fate == Fate::written) texts.copy(i, columns_, rows);
      }
      rows.move_to(whole);
    }
  }
  whole.finish();
  return whole.rows();
}

}  // namespace sartor::inference
