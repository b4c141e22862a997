// Output of task: generate. Parts have a row for each text that was drawn, also of those that were replaced, and what
// the results and the review file need; the output has the rows and columns that the config describes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "copy/copy_record.h"
#include "copy/generate_config.h"
#include "copy/prompt_rows.h"
#include "copy/table_rows.h"
#include "jobs/part_writer.h"

namespace sartor::inference {

// First 16 hexadecimal digits of the SHA-256 of texts and files, enough to recognize them.
std::string short_hash(std::string_view text);
std::string model_hash(const std::filesystem::path& folder);

class CopyTable : public PartOutput {
 public:
  // `visit` receives all texts when parts are joined, in order. Throws std::invalid_argument if two columns have the
  // same name.
  CopyTable(const GenerateConfig& config, std::string model_hash, std::function<void(const CopyRecord&)> visit);

  void begin(const std::filesystem::path& part) override;
  // texts: of each of the rows.
  void append(const PromptWindow& rows, std::vector<std::vector<Copy>> texts);
  void end() override;

  // Returns the number of texts written.
  int64_t join(const std::vector<std::filesystem::path>& parts, const std::filesystem::path& output,
               const std::function<void()>& between) override;

 private:
  void add(const PromptWindow& window, int64_t row, const Copy& copy, bool first);

  const GenerateConfig& config_;
  const std::string model_hash_, config_hash_;
  const std::function<void(const CopyRecord&)> visit_;
  size_t given_ = 0;  // columns before those of the text: row, id and the columns of keep
  std::vector<datasets::ColumnSpec> columns_, part_columns_;
  std::optional<TableRows> rows_;
  std::optional<datasets::TableWriter> writer_;  // of the open part
};

}  // namespace sartor::inference
