// task: tokenize — tables of texts in, one tokenized HDF5 file out.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime.h"
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
  std::string output;
  std::optional<std::string> rejects;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data, "Texts and their labels.");
    field.required("tokenizer", tokenizer, file_path(), "Hugging Face folder, or a tokenizer.json.");
    field("max_length", max_length, between(1, 1 << 20), "Tokens of a row, special ones included.");
    field(
        "longer", longer,
        "Texts of more tokens are cut, or divided into rows of about equal length: a language model learns from all.");
    field("duplicates", duplicates,
          "once: of equal texts the first stays, and none where their labels differ; keep: all stay.");
    field("split", split, "Which rows are held out.");
    field.required("output", output, file_path(), "Tokenized HDF5 file to write.");
    field("rejects", rejects, file_path(),
          "TSV file for rows that are unfit, with the reason; beside the output, as OUTPUT.rejects.tsv, if absent.");
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
