// sartor-infer writing texts with a small model.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <vector>

#include "integration/fixture.h"

namespace sartor::testing {

class Generating : public Programs {
 protected:
  // Trains a byte-level BPE tokenizer and a model on 120 pairs of a prompt and a text.
  Generating() {
    std::string rows = "name,likes,copy\n";
    for (int row = 0; row < 120; row++) {
      const auto* thing = row % 2 ? "羽绒服" : "shoes";
      rows += fmt::format("客户{},{},\"{}很好，买{} {}!\"\n", row, thing, thing, row % 7, thing);
    }
    write("train.csv", rows);
    expect_done(train("task: vocabulary\n" + data() + "model: byte_bpe\nvocab_size: 300\noutput: FOLDER/词\n"));
    expect_done(train("task: tokenize\n" + data() + "  pair: \"{copy}\"\ntokenizer: FOLDER/词\nmax_length: 64\n" +
                      "generation: {}\noutput: FOLDER/train.h5\n"));
    expect_done(
        train("task: finetune\ndevice: cpu\nthreads: 1\ndata: {path: FOLDER/train.h5}\nmodel:\n  tokenizer: FOLDER/词\n"
              "  shape: {model_type: qwen3, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, "
              "num_key_value_heads: 1, head_dim: 8, intermediate_size: 24, max_position_embeddings: 64}\n"
              "training: {max_steps: 3, per_device_batch_size: 8, learning_rate: 0.01}\noutput: FOLDER/run\n"));
  }

  static std::string data() {
    return "data:\n  sources: [{path: FOLDER/train.csv}]\n  label: {kind: none}\n  text: \"给{name}写{likes}：\"\n";
  }

  // Writes customers.csv: 61 records, some of them invalid.
  void write_customers() const {
    std::string rows = "customer,name,likes,age\n";
    for (int row = 0; row < 61; row++) {
      const std::string name = row % 20 == 7 ? "" : row % 9 == 4 ? "陈13812345678" : "客户" + std::to_string(row);
      rows += row == 33 ? "broken\n"
                        : fmt::format("用户{},{},{},{}\n", row, name, row % 3 ? "羽绒服|围巾" : "shoes", 20 + row);
    }
    write("customers.csv", rows + "最后,x\xe5\xa5,y,1\n");
  }

  static constexpr const char* generate_config =
      "task: generate\n"
      "device: cpu\n"
      "threads: 1\n"
      "model: FOLDER/run\n"
      "source: {path: FOLDER/customers.csv}\n"
      "slots: [{column: likes, type: list}]\n"
      "keep: [age]\n"
      "id: customer\n"
      "decoding: {max_new_tokens: 6, do_sample: true, num_return_sequences: 3, top_k: 50}\n"
      "filters: {duplicates: exact, max_characters: 4, refill: {attempts: 2}}\n"
      "limits: {max_sequences: 8, cache_bytes: 10000000}\n"
      "window: 5\n"
      "rows_per_part: 10\n"
      "review: {path: FOLDER/out.review.csv, rows: 9}\n"
      "output: FOLDER/out.csv\n";

  // Reads and removes all outputs.
  std::vector<std::string> taken() const {
    std::vector<std::string> found;
    for (const auto* name : {"out.csv", "out.csv.rejects.tsv", "out.csv.results.json", "out.review.csv"}) {
      found.push_back(read(name));
      EXPECT_FALSE(found.back().empty()) << name;
    }
    for (const auto& name : outputs()) std::filesystem::remove_all(path(name));
    return found;
  }
};

}  // namespace sartor::testing
