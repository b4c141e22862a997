#include "tasks/texts/text_training.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/require.h"
#include "models/hf/text_input.h"
#include "tasks/data/sources.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor {

Runtime start_runtime(const RuntimeConfig& config, const TextTrainingConfig& training) {
  if (training.deterministic) fix_cublas_workspaces();
  return make_runtime(config, Compute::libtorch);
}

ProcessGroup join_ranks(const TextTrainingConfig& config, const Runtime& runtime, const Invocation& invocation) {
  return {invocation.alone ? Ranks() : runtime.ranks, runtime.gpu >= 0, std::chrono::seconds(config.ddp_timeout)};
}

RunRequest run_request(const TextTrainingConfig& config, RecordedConfig recorded, const Runtime& runtime,
                       ProcessGroup& ranks, const Invocation& invocation, std::vector<std::string> may_change) {
  may_change.insert(may_change.end(), {"device", "threads", "checkpoint", "output", "ddp_timeout",
                                       "per_device_eval_tokens", "training.spike"});
  return {.folder = config.output,
          .config = std::move(recorded),
          .checkpoint = config.checkpoint,
          .may_change = std::move(may_change),
          .command = invocation.command,
          .device = runtime.device,
          .unit = "step",
          .ranks = &ranks,
          .start = {runtime.launch, invocation.resume, invocation.overwrite}};
}

text::TokenizerSpec tokenizer_of(const std::string& folder, const datasets::TokenizedTexts& data,
                                 const std::string& path) {
  auto spec = text::read_tokenizer(folder);
  require(hash_of(spec) == data.tokenizer_hash, "{} was made with a different tokenizer than the one in {}", path,
          folder);
  return spec;
}

int64_t vocabulary_size(const text::TokenizerSpec& tokenizer) {
  int32_t highest = -1;
  for (const auto& token : tokenizer.vocabulary) highest = std::max(highest, token.id);
  for (const auto& token : tokenizer.added_tokens) highest = std::max(highest, token.id);
  return highest + 1;
}

std::string weights_hash(const std::filesystem::path& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return data_hash(describe_files(files), "");
}

void save_input(const text::TokenizerSpec& tokenizer, const datasets::TokenizedTexts& data, int64_t longest_sequence,
                std::string_view tokenizer_class, const std::filesystem::path& folder) {
  text::write_tokenizer(folder, tokenizer, longest_sequence, tokenizer_class);
  if (!data.text) return;
  hf::TextInput input = {*data.text, data.pair, data.max_length};
  if (data.content != datasets::Content::classification) {
    input.chat = data.chat;
    input.system = data.system;
  }
  hf::write_text_input(folder, input);
}

}  // namespace sartor
