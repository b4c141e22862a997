#include "tasks/texts/bert_texts.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "models/bert/folder.h"
#include "schema/log.h"

namespace sartor {

void log_taken(const std::string& folder, bert::Head head, const std::vector<std::string>& drawn) {
  for (const auto& line : bert::ignored(folder, head)) log_info("{}", line);
  if (!drawn.empty())
    log_info("weights not loaded from {} but initialized randomly: {}", folder, fmt::join(drawn, ", "));
}

transformer::Packed packed(const bert::BertConfig& config, const datasets::StoredTexts& part,
                           std::span<const int64_t> rows, const std::vector<std::vector<int32_t>>& ids) {
  std::vector<std::vector<int32_t>> types;
  for (size_t i = 0; i < rows.size(); i++) {
    types.emplace_back(ids[i].size());
    std::fill(types.back().begin() + part.second()[rows[i]], types.back().end(), 1);
  }
  return transformer::pack(bert::input_spec(config), ids, types);
}

void save_model(const bert::Bert& model, const text::TokenizerSpec& tokenizer, const datasets::TokenizedTexts& data,
                const std::filesystem::path& folder) {
  bert::save_bert(model, folder);
  const auto& family = model.config().family();
  save_input(tokenizer, data, model.config().longest_sequence(), family.tokenizer_class, folder);
}

}  // namespace sartor
