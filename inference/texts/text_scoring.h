// What the tasks that score texts have in common: tables of any size go through a model in windows, part by part, and
// come out in their order.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/program.h"
#include "tables/table_config.h"
#include "text/text_rows.h"
#include "texts/text_model.h"

namespace sartor::inference {

// The base of their configs.
struct TextScoringConfig : RuntimeConfig {
  std::string model, output;
  datasets::TableConfig source;
  std::optional<std::string> text, pair;
  std::optional<int64_t> max_length;
  bool other_input = false;
  Precision precision = Precision::fp32;
  int64_t batch_tokens = 8192;
  int64_t window = 5000;
  int64_t rows_per_part = 5000;
  std::optional<std::string> rejects;
  int64_t ddp_timeout = 7200;

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
    field("rows_per_part", rows_per_part, between(1, 1e12),
          "Rows of the source after which work is put aside in OUTPUT.parts, from where --resume goes on. Ranks take "
          "these parts in turn.");
    field("rejects", rejects, file_path(),
          "TSV file for rows that are unfit, with the reason; beside the output, as OUTPUT.rejects.tsv, if absent.");
    field("ddp_timeout", ddp_timeout, at_least(1),
          "Seconds that ranks wait for each other: at the end, for the slowest one's last part.");
  }
  void check() const;  // also that the templates parse

  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::string record_path() const { return output + ".job.json"; }
  std::vector<std::filesystem::path> reads() const;
  std::vector<Output> writes() const {
    return {{output}, {rejects_path()}, {record_path()}, {.path = output + ".parts", .folder = true}};
  }
};

// Where the values of scored rows go.
class TextOutput {
 public:
  virtual ~TextOutput() = default;

  // A part: begin, append any number of times, end. Only then the file has its name; begun again, what was not ended is
  // dropped. values: (rows, columns of the model).
  virtual void begin(const std::filesystem::path& part) = 0;
  virtual void append(const text::TextWindow& rows, std::vector<float> values) = 0;
  virtual void end() = 0;

  // Writes `output` from the parts, in their order, and returns its rows. `between` is called now and then.
  virtual int64_t join(const std::vector<std::filesystem::path>& parts, const std::filesystem::path& output,
                       const std::function<void()>& between) = 0;
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
