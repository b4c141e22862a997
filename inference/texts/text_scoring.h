// Common parts of tasks that score texts: tables of any size go through a model in windows and parts; the output keeps
// the order of the rows.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jobs/job_config.h"
#include "jobs/part_writer.h"
#include "runtime/program.h"
#include "tables/table_config.h"
#include "text/text_rows.h"
#include "texts/text_model.h"

namespace sartor::inference {

// Base of the configs of such tasks.
struct TextScoringConfig : JobConfig {
  std::string model;
  datasets::TableConfig source;
  std::optional<std::string> text, pair;
  std::optional<int64_t> max_length;
  bool other_input = false;
  Precision precision = Precision::fp32;
  int64_t batch_tokens = 8192;
  int64_t window = 5000;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field.required("model", model, file_path(),
                   "Run folder of task: classify of sartor-train, or a Hugging Face folder.");
    field("source", source, "Table of texts to score.");
    field("text", text,
          "Template of a row's text, with column names in braces. Default: as in the model's training, or {text} if "
          "unknown.");
    field("pair", pair,
          "Template of a second text, for models that take text pairs; empty for none. Default: as in the model's "
          "training.");
    field("max_length", max_length, between(1, 1 << 20),
          "Maximum tokens per row, including special tokens; longer rows are cut. Default: as in the model's training, "
          "or the model's limit if unknown.");
    field("other_input", other_input,
          "Allow text, pair and max_length to differ from those of the model's training (its input.json).");
    field("precision", precision,
          "Data type of matrix products. int8 runs on CPUs only; bf16 requires hardware support. tf32: fp32, but on a "
          "GPU "
          "tensor cores round inputs to 10 bits of mantissa; on a CPU the same as fp32.");
    field("batch_tokens", batch_tokens, at_least(1), "Maximum tokens per batch.");
    field("window", window, between(1, 1e9),
          "Rows to read ahead and sort by length for batching; the output keeps the order of the source.");
    describe_parts(field);
  }
  void check() const;  // also parses the templates

  std::vector<std::filesystem::path> reads() const;
};

// Output of scored rows. values: (rows, columns of the model).
class TextOutput : public PartOutput {
 public:
  virtual void append(const text::TextWindow& rows, std::vector<float> values) = 0;
};

struct TextTask {
  TextModel model;
  std::unique_ptr<TextOutput> output;
};

struct TextScoring {
  RecordedConfig config;
  std::vector<std::string> keep;  // columns of the source to copy to the output
  std::optional<std::string> id;  // column of the texts' ids
  std::string part_extension;
  std::function<TextTask(const std::filesystem::path& folder, int gpu)> open;
};

// Scores the parts that are missing, on all ranks, and joins all parts to config.output. Throws Stopped on a stop
// signal; finished parts remain for --resume.
void score_texts(const TextScoringConfig& config, const TextScoring& scoring, const Invocation& invocation);

}  // namespace sartor::inference
