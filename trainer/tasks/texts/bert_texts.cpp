#include "tasks/texts/bert_texts.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/require.h"
#include "models/bert/folder.h"
#include "models/hf/text_input.h"
#include "schema/log.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor {

at::Device device_of(int gpu) {
  return gpu < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu));
}

text::TokenizerSpec tokenizer_of(const std::string& folder, const datasets::TokenizedTexts& data,
                                 const std::string& path) {
  auto spec = text::read_tokenizer(folder);
  require(hash_of(spec) == data.tokenizer_hash, "{} was made with a different tokenizer than the one in {}", path,
          folder);
  return spec;
}

void log_taken(const std::string& folder, bert::Head head, const std::vector<std::string>& drawn) {
  for (const auto& line : bert::ignored(folder, head)) log_info("{}", line);
  if (!drawn.empty())
    log_info("weights not loaded from {} but initialized randomly: {}", folder, fmt::join(drawn, ", "));
}

transformer::Packed packed(const bert::BertConfig& config, const datasets::StoredTexts& part,
                           std::span<const int64_t> rows, const std::vector<std::vector<int32_t>>& ids,
                           at::Device device) {
  std::vector<std::vector<int32_t>> types;
  for (size_t i = 0; i < rows.size(); i++) {
    types.emplace_back(ids[i].size());
    std::fill(types.back().begin() + part.second()[rows[i]], types.back().end(), 1);
  }
  return transformer::pack(bert::input_spec(config), ids, types, device);
}

void save_model(const bert::Bert& model, const text::TokenizerSpec& tokenizer, const datasets::TokenizedTexts& data,
                const std::filesystem::path& folder) {
  bert::save_bert(model, folder);
  const auto& family = model.config().family();
  text::write_tokenizer(folder, tokenizer, model.config().longest_sequence(), family.tokenizer_class);
  if (data.text) hf::write_text_input(folder, {*data.text, data.pair, data.max_length});
}

}  // namespace sartor
