// Chat formats: how a prompt and its answer become the text that a chat model was trained on.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "schema/fields.h"

namespace sartor::text {

class Tokenizer;

enum class ChatFormat { none, chatml, llama3 };

constexpr auto choices(ChatFormat) {
  return std::to_array<Choice<ChatFormat>>(
      {{"none", ChatFormat::none}, {"chatml", ChatFormat::chatml}, {"llama3", ChatFormat::llama3}});
}

// Special tokens are part of the texts; the tokenizer finds them as added tokens. A prompt or an answer that contains
// the text of a special token, such as <|im_end|>, therefore gets that token, as in transformers. Texts from untrusted
// sources should be cleaned of them.
struct Chat {
  ChatFormat format = ChatFormat::none;
  std::optional<std::string> system = std::nullopt;  // message before the prompt, may be empty; nullopt: no message

  bool operator==(const Chat&) const = default;
};

struct ChatText {
  std::string prompt;  // up to where the answer begins
  std::string end;     // what follows the answer; empty for none
};

// The texts that transformers' apply_chat_template makes from a conversation of the system message, the prompt and,
// after `prompt`, the assistant's message. none: the prompt itself; the system message is ignored. llama3 is the format
// of Llama 3.0, without dates in the system message; it removes whitespace around messages. Accepts any bytes.
ChatText render(const Chat& chat, std::string_view prompt);

// The answer as it stands between ChatText's prompt and end: llama3 removes whitespace around it.
std::string_view render_answer(const Chat& chat, std::string_view answer);

// Whether the tokenizer should add the special tokens of its post-processor to a rendered prompt
// (EncodeOptions::special_tokens). Formats other than none contain all special tokens, so that adding them would repeat
// the beginning-of-text token of llama3.
constexpr bool adds_special_tokens(ChatFormat format) { return format == ChatFormat::none; }

// Throws std::invalid_argument unless each special token of the format is one token of the tokenizer.
void check_chat(ChatFormat format, const Tokenizer& tokenizer);

// The format of a chat template (Jinja) with its default system message. Recognizes the templates of SmolLM2, Qwen2,
// Qwen2.5, Qwen3-Instruct-2507, Llama 3.0, and plain ChatML, with any default system message. Throws
// std::invalid_argument that names `file` and the formats to choose from if the template is another one, e.g. Qwen3's,
// which adds thinking sections, or Llama 3.1's and 3.2's, which add dates to the system message.
Chat parse_chat_template(std::string_view jinja, std::string_view file);

// The format of the folder's own chat template: chat_template.jinja, otherwise the field chat_template of
// tokenizer_config.json, a template or a list of named templates, one of them called default. nullopt if the folder has
// no template. Throws std::invalid_argument as parse_chat_template, and if the template is Llama 3's and bos_token is
// not
// <|begin_of_text|>.
std::optional<Chat> folder_chat(const std::filesystem::path& folder);

}  // namespace sartor::text
