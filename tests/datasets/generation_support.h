// Fixture that writes tokenized files for generators with a small WordPiece tokenizer.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "storage/stored_texts.h"
#include "support/folder_test.h"
#include "text/tokenizers/tokenizer_files.h"
#include "text/write_texts.h"

namespace sartor::text {

constexpr int32_t unknown = 1, good = 5, bad = 6, hao = 7, huai = 8, s = 9;  // tokens: good, bad, 好, 坏, ##s
constexpr int32_t begin_token = 10, end_token = 11, im_start = 12, im_end = 13, user = 14, assistant = 15, system = 16,
                  header = 18, header_end = 19, end_of_turn = 20;

// Tokens before a text: begin_token or none.
inline Tokenizer generator_tokenizer(bool begins) {
  auto spec = parse_bert_tokenizer(
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\n好\n坏\n##s\n<|begin_of_text|>\n</s>\n<|im_start|>\n"
      "<|im_end|>\nuser\nassistant\nsystem\nbe\n<|start_header_id|>\n<|end_header_id|>\n<|eot_id|>\n",
      "vocab.txt", "", "");
  for (const auto& [text, id] : std::vector(spec.vocabulary)) {
    if (id == begin_token || id == end_token || id == im_start || id == im_end || id >= header) {
      spec.added_tokens.push_back({.content = text, .id = id, .special = true, .normalized = false});
    }
  }
  const TemplatePieces begin = {{TemplatePiece::special, 0, {begin_token}}};
  TemplateProcessing processing;
  if (begins) {
    processing.single.insert(processing.single.begin(), begin.begin(), begin.end());
    processing.single.push_back({TemplatePiece::special, 0, {3}});  // not used: nothing ends a prompt
    processing.pair.insert(processing.pair.begin(), begin.begin(), begin.end());
  }
  spec.post_processor = processing;
  return Tokenizer(std::move(spec));
}

class GeneratorFile : public testing::FolderTest {
 protected:
  static constexpr TextSplitConfig all_for_training = {.test = 0, .validation = 0};

  // A CSV file with the columns a, b, c; the text is {a}.
  TextConfig csv(const std::string& rows, const char* name = "a.csv") const {
    return {.sources = {{.table = {.path = write(name, "a,b,c\n" + rows)}}},
            .text = "{a}",
            .label = {.kind = LabelKind::none}};
  }
  // The prompt is {a}, the completion {b}.
  TextConfig pairs(const std::string& rows) const {
    auto config = csv(rows);
    config.pair = "{b}";
    return config;
  }

  // Writes the file and opens it.
  datasets::TokenizedTexts write_file(const TextConfig& config, const GenerationConfig& generation = {},
                                      RowLength length = {16}, TextSplitConfig split = all_for_training,
                                      TextDuplicates duplicates = TextDuplicates::once) {
    check(config, generation);
    rejects_ = datasets::Rejects(path("rejects.tsv"));
    Generation resolved = {.config = generation, .content = content_of(config, generation), .chat = chat_, .end = {}};
    if (chat_.format != ChatFormat::none) {
      resolved.end = tokenizer_->encode(render(chat_, "").end, {.special_tokens = false}).ids;
    } else if (generation.eos) {
      resolved.end = {end_token};
    }
    TextSource source(config, rejects_, &generation);
    const auto describe = [](const TextReport&) { return datasets::Provenance{"{}", "hash"}; };
    report_ = write_texts(path("a.h5"), source, config, *tokenizer_,
                          {.length = length,
                           .duplicates = duplicates,
                           .split = std::move(split),
                           .generation = resolved,
                           .describe = describe});
    rejects_.finish();
    return datasets::open_texts(path("a.h5"));
  }

  void expect_nothing_written() {
    rejects_ = datasets::Rejects();  // removes its unfinished file
    EXPECT_THAT(files(), ::testing::ElementsAre("a.csv"));
  }

  static std::vector<std::vector<int32_t>> rows_of(const datasets::StoredTexts& part) {
    std::vector<std::vector<int32_t>> rows;
    for (int64_t row = 0; row < part.rows(); row++) rows.push_back(part.ids(row));
    return rows;
  }

  std::optional<Tokenizer> tokenizer_{generator_tokenizer(true)};
  Chat chat_;
  datasets::Rejects rejects_;
  TextReport report_;
};

}  // namespace sartor::text
