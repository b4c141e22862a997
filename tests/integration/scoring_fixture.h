// sartor-infer on texts with a small BERT.
#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "integration/fixture.h"
#include "support/bert_folders.h"

namespace sartor::testing {

class Scoring : public Programs {
 protected:
  Scoring() { write_bert_folder(path("model"), small_bert()); }

  // Writes 97 records: Chinese, English, mixed, emoji, empty, long and invalid ones.
  void write_texts() const {
    static constexpr const char* words[] = {"good", "bad", "很好", "不", "坏的", "😀", "very", "abc", "!", "7"};
    std::string lines = "id,text\n";
    for (uint64_t row = 0; row < 97; row++) {
      std::string text;
      for (uint64_t word = 0; word < 1 + random_bits(1, row) % 30; word++) {
        text += words[random_bits(2, row * 100 + word) % 10];
        if (random_bits(3, row * 100 + word) % 3 > 0) text += " ";
      }
      if (row % 10 == 3) text = " ";
      if (row % 20 == 7) text += "\xe5\xa5";  // truncated character
      lines += row == 50 ? "broken\n" : "编号" + std::to_string(row) + ",\"" + text + "\"\n";
    }
    write("texts.csv", lines);
  }

  static constexpr const char* classify_config =
      "task: classify\n"
      "device: cpu\n"
      "threads: 1\n"
      "model: FOLDER/model\n"
      "source: {path: FOLDER/texts.csv}\n"
      "keep: [id]\n"
      "probabilities: true\n"
      "window: 7\n"
      "rows_per_part: 20\n"
      "batch_tokens: 50\n"
      "output: FOLDER/out.csv\n";
  // Uses another source, of any format.
  void score_again(const std::string& source, const std::string& output) const {
    expect_done(infer("task: classify\ndevice: cpu\nthreads: 1\nmodel: FOLDER/model\nsource: {path: FOLDER/" + source +
                      "}\ntext: '{label}{probability}'\nkeep: [id]\noutput: FOLDER/" + output + "\n"));
  }

  static constexpr const char* embed_config =
      "task: embed\n"
      "device: cpu\n"
      "model: FOLDER/model\n"
      "source: {path: FOLDER/texts.csv}\n"
      "id: id\n"
      "window: 7\n"
      "rows_per_part: 20\n"
      "output: FOLDER/out.h5\n";

  // Reads and removes out.csv and its rejects.
  std::pair<std::string, std::string> taken() const {
    std::pair found = {read("out.csv"), read("out.csv.rejects.tsv")};
    EXPECT_FALSE(found.first.empty());
    for (const auto& name : files()) {
      if (name.find("out.csv") != name.npos) std::filesystem::remove_all(path(name));
    }
    return found;
  }
};

}  // namespace sartor::testing
