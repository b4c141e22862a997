// Config of task: generate.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "copy/prompt_config.h"
#include "copy/prompt_tokens.h"
#include "generation/decoding_config.h"
#include "generation/text_filters.h"
#include "generation/text_writer.h"
#include "jobs/job_config.h"
#include "models/transformer/precision.h"
#include "tables/table_config.h"
#include "text/generation.h"

namespace sartor::inference {

// A file for people who review the texts.
struct ReviewConfig {
  std::string path;
  int64_t rows = 100;

  template <class Fields> void describe(Fields& field) {
    field.required("path", path, file_path(),
                   "CSV file to write with prompts and texts and two empty columns, approved and comment.");
    field("rows", rows, at_least(1), "Number of rows of the source to draw for review, with all their variants.");
  }
  void check() const;
};

struct GenerateConfig : JobConfig {
  std::string model;
  std::optional<datasets::TableConfig> source;
  std::optional<std::string> prompt, system, id;
  std::vector<SlotConfig> slots;
  std::vector<ListConfig> lists;
  text::ChatChoice chat = text::ChatChoice::automatic;
  bool other_input = false, mask_pii = true;
  std::vector<std::string> keep;
  LongPrompt long_prompt = LongPrompt::reject;
  std::optional<int64_t> max_length;
  transformer::Precision precision = transformer::Precision::fp32;
  DecodingConfig decoding;
  FiltersConfig filters;
  WriterLimits limits;
  int64_t window = 1000;
  std::optional<ReviewConfig> review;

  // Texts take long: a stop loses less than with larger parts.
  GenerateConfig() { rows_per_part = 250; }

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field.required("model", model, file_path(),
                   "Run folder of task: finetune of sartor-train, or a Hugging Face folder of a decoder.");
    field("source", source,
          "Table with a row per prompt. Without it, the text of the single prompt goes to standard output while it is "
          "written.");
    field("prompt", prompt,
          "Template of the prompts, with column names in braces; {{ and }} are braces. Default: as in the model's "
          "training, if that had prompts.");
    field("slots", slots, "Types of columns in the prompt, and what to write for missing values.");
    field("lists", lists, "Lists for the prompt from other tables, such as the output of task: recommend.");
    field("chat", chat,
          "Chat format of the prompts. auto: as in the model's training, otherwise the format of the folder's chat "
          "template if it has one, otherwise none.");
    field("system", system, "System message of the chat. Default: as in the model's training or the chat template.");
    field("other_input", other_input,
          "Allow prompt, chat and system to differ from those of the model's training (its input.json).");
    field("mask_pii", mask_pii,
          "Replace Chinese mobile and identity numbers, card numbers and e-mail addresses in prompts by ***, also in "
          "the rejects and review files. Columns of keep and id are not masked.");
    field("long_prompt", long_prompt,
          "Prompts that leave no room for max_new_tokens. reject: reject the row; error: stop; cut_left: remove the "
          "first tokens of the prompt, but not of the chat format.");
    field("max_length", max_length, between(2, 1 << 20),
          "Maximum tokens of prompt and text together. Default: the model's limit.");
    field("keep", keep, "Columns of the source to copy to the output, as text.");
    field("id", id, "Column of the rows' ids, which `lists` requires; rows without an id are rejected.");
    field("decoding", decoding, "How texts are written.");
    field("filters", filters, "Which texts are rejected, and whether others replace them.");
    field("precision", precision,
          "Data type of matrix products. int8 runs on CPUs only; bf16 requires hardware support. tf32: fp32, but on a "
          "GPU "
          "tensor cores round inputs to 10 bits of mantissa; on a CPU the same as fp32.");
    field("limits", limits, "Size of batches and of the cache. They do not affect the texts.");
    field("window", window, between(1, 1e9), "Rows to read ahead.");
    describe_parts(field);
    field("output", output, file_path(),
          "Table to write (.csv, .tsv, .jsonl or .parquet) with a row per text: row (number in the source, from 1, "
          "including headers and blank lines), id, the columns of keep, variant, draw, prompt_hash, model_hash, "
          "config_hash, seed, text, log_probability, sampled_log_probability, tokens, end, rejected, and with mask_pii "
          "masked. Required with source.");
    field("review", review, "File for people who review the texts.");
  }
  void check() const;

  std::string results_path() const { return output + ".results.json"; }
  std::vector<std::filesystem::path> reads() const;
  std::vector<Output> writes() const;
};

// Identifies everything in the config that affects the texts, but not the contents of files: the first 16 hexadecimal
// digits of a SHA-256.
std::string config_hash(const GenerateConfig& config);

// Fields that --resume may change.
std::vector<std::string> may_change_in_generation();

}  // namespace sartor::inference
