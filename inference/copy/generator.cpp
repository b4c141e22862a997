#include "copy/generator.h"

#include <algorithm>
#include <set>

#include "base/require.h"
#include "models/hf/text_input.h"
#include "text/end_of_text.h"
#include "text/tokenizers/tokenizer_files.h"
#include "texts/text_model.h"
#include "texts/trained_input.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;
using MaybeText = std::optional<std::string>;

std::string prompt_of(const GenerateConfig& config, const std::optional<hf::TextInput>& trained) {
  if (!config.source) return *config.prompt;
  const auto used = trained && trained->pair ? MaybeText(trained->text) : std::nullopt;
  const auto prompt = TrainedInput{config.model, config.other_input}.agreed("prompt", config.prompt, used);
  require(prompt.has_value(), "prompt is missing, and {} was not trained with prompts", config.model);
  return *prompt;
}

text::Chat chat_of(const GenerateConfig& config, const std::optional<hf::TextInput>& trained, const fs::path& folder) {
  const TrainedInput training = {config.model, config.other_input};
  const auto used = trained ? trained->chat : std::nullopt;
  const auto chosen = config.chat == text::ChatChoice::automatic ? MaybeText() : MaybeText(name_of(config.chat));
  text::Chat chat;
  if (const auto format = training.agreed("chat", chosen, used)) {
    chat.format = value_of<text::ChatFormat>(*format);
    if (used == format) chat.system = trained->system;
  } else {
    chat = text::folder_chat(folder).value_or(chat);
  }
  if (config.system) {
    require(chat.format != text::ChatFormat::none, "system is set, but {} has no chat template: set chat",
            config.model);
    chat.system =
        training.agreed("system", config.system, used ? MaybeText(trained->system.value_or("")) : MaybeText());
  }
  return chat;
}

std::vector<int32_t> end_ids_of(const Generator& generator) {
  std::set<int32_t> ids;
  for (const auto id : generator.model.end_tokens()) ids.insert(static_cast<int32_t>(id));
  if (const auto id = text::end_of_text(generator.folder, *generator.tokenizer)) ids.insert(*id);
  const auto end = generator.tokenizer->encode(text::render(generator.chat, "").end, {.special_tokens = false}).ids;
  if (!end.empty()) ids.insert(end.front());
  return {ids.begin(), ids.end()};
}

PromptLimits limits_of(const GenerateConfig& config, const gpt::GptConfig& model) {
  const int64_t longest = model.longest_sequence(), length = config.max_length.value_or(longest);
  const int64_t most = config.decoding.max_new_tokens;
  require(length <= longest, "max_length is {}, but {} supports at most {}", length, config.model, longest);
  require(most < length, "decoding.max_new_tokens is {}, but {} supports {} tokens, prompts included", most,
          config.model, length);
  return {.max_length = length, .max_new_tokens = most, .long_prompt = config.long_prompt};
}

}  // namespace

PromptTokens Generator::prompt_tokens() const {
  std::optional<int32_t> first;
  if (model.bos_token_id) first = static_cast<int32_t>(*model.bos_token_id);
  if (!first && !end_ids.empty()) first = end_ids.front();
  return {*tokenizer, chat, first, limits};
}

std::vector<std::string> Generator::special_tokens() const {
  std::vector<std::string> texts;
  for (const auto& token : tokenizer->spec().added_tokens) {
    if (token.special) texts.push_back(token.content);
  }
  return texts;
}

Generator open_generator(const GenerateConfig& config) {
  Generator found;
  found.folder = model_folder(config.model);
  found.model = gpt::read_config(found.folder);
  found.tokenizer = std::make_unique<text::Tokenizer>(text::read_tokenizer(found.folder));
  require(found.tokenizer->vocabulary_size() <= found.model.vocab_size,
          "{}: the tokenizer has {} ids, but the model has {}", found.folder.string(),
          found.tokenizer->vocabulary_size(), found.model.vocab_size);
  const auto trained = hf::read_text_input(found.folder);
  found.prompt = prompt_of(config, trained);
  found.chat = chat_of(config, trained, found.folder);
  text::check_chat(found.chat.format, *found.tokenizer);
  found.end_ids = end_ids_of(found);
  found.limits = limits_of(config, found.model);
  return found;
}

}  // namespace sartor::inference
