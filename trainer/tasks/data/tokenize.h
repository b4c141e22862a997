// task: tokenize. Converts tables of texts to a tokenized HDF5 file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "text/generation.h"
#include "text/text_source.h"
#include "text/write_texts.h"

namespace sartor {

struct TokenizeConfig : RuntimeConfig {
  text::TextConfig data;
  std::string tokenizer;
  int64_t max_length = 128;
  text::LongTexts longer = text::LongTexts::cut;
  text::TextDuplicates duplicates = text::TextDuplicates::once;
  text::TextSplitConfig split;
  std::optional<text::GenerationConfig> generation;
  std::string output;
  std::optional<std::string> rejects;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data, "Tables of texts and labels to read.");
    field.required("tokenizer", tokenizer, file_path(),
                   "Tokenizer: a Hugging Face model folder or a tokenizer.json file.");
    field("max_length", max_length, between(1, 1 << 20), "Maximum number of tokens per row, including special tokens.");
    field(
        "longer", longer,
        "How to handle texts longer than max_length. cut: truncate them; divide: split them into rows of about equal "
        "length, so that pretraining uses the whole text. Completions can only be cut, prompts are never cut: a prompt "
        "that leaves no room for a completion is rejected.");
    field("duplicates", duplicates,
          "How to handle repeated texts. once: keep the first, or none if their labels differ; keep: keep all.");
    field("split", split, "How to split the rows into training, validation and test.");
    field("generation", generation,
          "Makes a file for generators. data.text alone: plain texts; with data.pair: prompts and their completions; "
          "with generation.rejected too: preferences. Default: a file for classification or pretraining.");
    field.required("output", output, file_path(), "Tokenized HDF5 file to write.");
    field("rejects", rejects, file_path(),
          "TSV file to write rejected rows to, with the reason for each; OUTPUT.rejects.tsv if absent.");
  }
  void check() const {
    if (!generation) return;
    text::check(data, *generation);
    require(split.method != text::TextSplit::rows || !data.pair,
            "split.method is rows, but prompts are split as in generation.split_by");
    require(longer == text::LongTexts::cut || !data.pair, "longer is divide, but completions can only be cut");
  }
  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::vector<std::filesystem::path> reads() const {
    auto paths = files_to_read(data);
    paths.emplace_back(tokenizer);
    return paths;
  }
  std::vector<Output> writes() const { return {{output}, {rejects_path()}}; }
};

void tokenize(const TokenizeConfig& config, Runtime& runtime);

}  // namespace sartor
