// What the fuzzers run and the tests replay. A target may refuse its input with std::invalid_argument and nothing else.
#pragma once

#include <string_view>

namespace sartor::fuzz {

void tokenizer_json(std::string_view input);
void bert_tokenizer(std::string_view input);  // vocab.txt, a byte 0, tokenizer_config.json

struct Target {
  std::string_view name;  // of its folder in corpus/
  void (*run)(std::string_view input);
};
constexpr Target targets[] = {{"tokenizer_json", tokenizer_json}, {"bert_tokenizer", bert_tokenizer}};

}  // namespace sartor::fuzz
