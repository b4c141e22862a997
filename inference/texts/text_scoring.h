// What the tasks that score texts have in common: tables of any size go through a model in windows, part by part, and
// come out in their order.
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

// The base of their configs.
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
    field("source", source, "Table of texts.");
    field("text", text,
          "Template of a row's text: its columns' names in braces. By default that of the model's training, {text} if "
          "the model does not tell.");
    field("pair", pair,
          "Template of a second text, for models that take two. By default that of the model's training; empty for "
          "none.");
    field("max_length", max_length, between(1, 1 << 20),
          "Tokens of a row, special ones included; longer rows are cut. By default that of the model's training, and "
          "what the model takes if it does not tell.");
    field("other_input", other_input,
          "Whether text, pair and max_length may differ from those of the model's training (its input.json).");
    field("precision", precision, "Of the model's products; int8 on CPUs only. bf16 needs CPUs or GPUs that have it.");
    field("batch_tokens", batch_tokens, at_least(1), "Most tokens that go through the model together.");
    field("window", window, between(1, 1e9),
          "Rows that are read ahead and sorted by length together; the output has the order of the source.");
    describe_parts(field);
  }
  void check() const;  // also that the templates parse

  std::vector<std::filesystem::path> reads() const;
};

// Where the values of scored rows go. values: (rows, columns of the model).
class TextOutput : public PartOutput {
 public:
  virtual void append(const text::TextWindow& rows, std::vector<float> values) = 0;
};

struct TextTask {
  TextModel model;
  std::unique_ptr<TextOutput> output;
};

struct TextScoring {
  std::string config;             // YAML, every value
  std::vector<std::string> keep;  // columns of the source that go to the output, and
  std::optional<std::string> id;  // that of the texts' ids
  std::string part_extension;
  std::function<TextTask(const std::filesystem::path& folder, int gpu)> open;
};

// Does it all, on any number of ranks: rows that are missing from config.output's parts are scored, then the parts
// joined. Throws Stopped when a signal asks to stop; what was put aside by then stays for --resume.
void score_texts(const TextScoringConfig& config, const TextScoring& scoring, const Invocation& invocation);

}  // namespace sartor::inference
