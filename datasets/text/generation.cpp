#include "text/generation.h"

#include "base/require.h"
#include "text/end_of_text.h"
#include "text/template.h"

namespace sartor::text {
namespace {

using datasets::Content;

Chat chat_of(const GenerationConfig& config, Content content, const std::filesystem::path& folder) {
  Chat chat;
  if (content == Content::language_modeling) return chat;
  if (config.chat == ChatChoice::automatic) {
    chat = folder_chat(folder).value_or(Chat());
  } else {
    chat.format = value_of<ChatFormat>(name_of(config.chat));
  }
  if (config.system) {
    require(chat.format != ChatFormat::none,
            "generation.system is set, but {} has no chat template: set generation.chat", folder.string());
    chat.system = config.system;
  }
  return chat;
}

}  // namespace

Content content_of(const TextConfig& texts, const GenerationConfig& generation) {
  if (generation.rejected) return Content::preference;
  return texts.pair ? Content::prompt_completion : Content::language_modeling;
}

void check(const TextConfig& texts, const GenerationConfig& generation) {
  require(texts.label.kind == LabelKind::none, "generation: data.label.kind is {}, expected none",
          name_of(texts.label.kind));
  if (generation.rejected) {
    require(texts.pair.has_value(), "generation.rejected needs data.pair, the template of the chosen texts");
    Template{*generation.rejected};
  }
  if (content_of(texts, generation) != Content::language_modeling) return;
  require(generation.chat == ChatChoice::automatic || generation.chat == ChatChoice::none,
          "generation.chat is {}, but there is no data.pair: plain texts have no chat format",
          name_of(generation.chat));
  require(!generation.system, "generation.system is set, but there is no data.pair: plain texts have no chat format");
  require(!generation.best_of, "generation.best_of is set, but there is no data.pair: plain texts have no prompts");
}

Generation resolve(const TextConfig& texts, const GenerationConfig& config, const std::filesystem::path& path,
                   const Tokenizer& tokenizer) {
  const auto folder = std::filesystem::is_directory(path) ? path : path.has_parent_path() ? path.parent_path() : ".";
  Generation found = {.config = config, .content = content_of(texts, config)};
  found.chat = chat_of(config, found.content, folder);
  if (found.chat.format != ChatFormat::none) {
    check_chat(found.chat.format, tokenizer);
    found.end = tokenizer.encode(render(found.chat, "").end, {.special_tokens = false}).ids;
  } else if (config.eos) {
    const auto end = end_of_text(folder, tokenizer);
    require(end.has_value(),
            "generation.eos is true, but {} names no end-of-text token: expected eos_token in tokenizer_config.json or "
            "special_tokens_map.json, or eos_token_id in generation_config.json or config.json",
            folder.string());
    found.end = {*end};
  }
  return found;
}

}  // namespace sartor::text
