#include "models/hf/config_fields.h"

#include <algorithm>

namespace sartor::hf {
namespace {

constexpr std::string_view always_neutral[] = {"_name_or_path",
                                               "_num_labels",
                                               "adapters",
                                               "attn_implementation",
                                               "_attn_implementation",
                                               "bos_token_id",
                                               "chunk_size_feed_forward",
                                               "decoder_start_token_id",
                                               "dtype",
                                               "eos_token_id",
                                               "finetuning_task",
                                               "gradient_checkpointing",
                                               "mask_token_id",
                                               "output_attentions",
                                               "output_hidden_states",
                                               "output_past",
                                               "return_dict",
                                               "sep_token_id",
                                               "summary_activation",
                                               "summary_last_dropout",
                                               "summary_type",
                                               "summary_use_proj",
                                               "task_specific_params",
                                               "tokenizer_class",
                                               "torch_dtype",
                                               "torchscript",
                                               "transformers_version",
                                               "unk_token_id",
                                               "use_bfloat16",
                                               "use_cache"};

}  // namespace

std::string_view field_name(std::span<const FieldName> names, std::string_view ours) {
  const auto found = std::ranges::find(names, ours, &FieldName::ours);
  return found == names.end() ? ours : found->theirs;
}

KeptFields kept_fields(const Json& json, const JsonFields& fields, std::span<const std::string_view> neutral) {
  const auto is_in = [](std::span<const std::string_view> names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
  };
  KeptFields kept;
  for (const auto& name : fields.untaken()) {
    kept.all[name] = json[name];
    if (!is_in(always_neutral, name) && !is_in(neutral, name)) kept.unknown.push_back(name);
  }
  return kept;
}

Json written_fields(const Json& kept) {
  Json json = kept;
  for (const auto* stale : {"torch_dtype", "_name_or_path", "_num_labels"}) json.erase(stale);
  json["dtype"] = "float32";
  return json;
}

}  // namespace sartor::hf
