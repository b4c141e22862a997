// Fuzz targets. Each reads the input and, if `use` is set, uses the result. The only exception that an input may cause
// is std::invalid_argument.
#pragma once

#include <string_view>

namespace sartor::fuzz {

void tokenizer_json(std::string_view input, bool use);
void bert_tokenizer(std::string_view input, bool use);  // vocab.txt, a byte 0, tokenizer_config.json
void byte_bpe(std::string_view input, bool use);        // vocab.json, a byte 0, merges.txt, 0, tokenizer_config.json
void chat_template(std::string_view input, bool use);
void safetensors(std::string_view input, bool use);   // two bytes of the data's size, the header's JSON
void bert_config(std::string_view input, bool use);   // config.json, and model.safetensors.index.json
void gpt_config(std::string_view input, bool use);    // config.json
void json_object(std::string_view input, bool use);   // a line of JSON Lines
void encoded_text(std::string_view input, bool use);  // a byte with the position to cut at, text in any encoding
void masking(std::string_view input, bool use);       // any text
void text_metrics(std::string_view input, bool use);  // bytes of tokenizer and options, texts with a byte 0 between

struct Target {
  std::string_view name;  // name of its folder in corpus/
  void (*run)(std::string_view input, bool use);
};
constexpr Target targets[] = {{"tokenizer_json", tokenizer_json},
                              {"bert_tokenizer", bert_tokenizer},
                              {"byte_bpe", byte_bpe},
                              {"chat_template", chat_template},
                              {"safetensors", safetensors},
                              {"bert_config", bert_config},
                              {"gpt_config", gpt_config},
                              {"json_object", json_object},
                              {"encoded_text", encoded_text},
                              {"masking", masking},
                              {"text_metrics", text_metrics}};

}  // namespace sartor::fuzz
