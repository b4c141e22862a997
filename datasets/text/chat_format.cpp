#include "text/chat_format.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "base/require.h"
#include "base/utf8.h"
#include "encodings/unicode.h"
#include "storage/atomic_file.h"
#include "storage/json_fields.h"
#include "storage/sha256.h"
#include "text/chat_template.h"
#include "text/tokenizers/tokenizer.h"

namespace sartor::text {
namespace {

using datasets::JsonField;

constexpr std::string_view llama3_begin = "<|begin_of_text|>";

// Whitespace of Python's str.strip.
bool is_space(char32_t code) {
  return (unicode::properties(code) & unicode::whitespace) || (code >= 0x1C && code <= 0x1F);
}

std::string_view trimmed(std::string_view text) {
  for (;;) {
    const auto [code, bytes] = first_character(text);
    if (bytes == 0 || !is_space(code)) break;
    text.remove_prefix(bytes);
  }
  while (!text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && (text[last] & 0xC0) == 0x80) last--;
    const auto [code, bytes] = first_character(text.substr(last));
    if (bytes != text.size() - last || !is_space(code)) break;
    text.remove_suffix(bytes);
  }
  return text;
}

std::string chatml_message(std::string_view role, std::string_view text) {
  return fmt::format("<|im_start|>{}\n{}<|im_end|>\n", role, text);
}

std::string llama3_message(std::string_view role, std::string_view text) {
  return fmt::format("<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>", role, trimmed(text));
}

// The text of the field, which is a template or a list of named templates.
std::string default_template(const JsonField& field) {
  if (!field.value().is_array()) return field.text();
  std::optional<std::string> found;
  std::string names;
  field.each([&](const JsonField& each) {
    const std::string name = each["name"].text();
    if (name == "default") found = each["template"].text();
    names += (names.empty() ? "" : ", ") + name;
  });
  field.check(found.has_value(), fmt::format("a template named default, found {}", names.empty() ? "none" : names));
  return *found;
}

constexpr std::string_view system_begin = "<|im_start|>system\n", system_end = "<|im_end|>\n";
constexpr char system_mark = '\x01';

// Replaces the default system message of a canonical ChatML template by system_mark and returns it.
std::optional<std::string> take_default_system(std::string& canonical) {
  for (size_t at = 0; (at = canonical.find(system_begin, at)) != std::string::npos;) {
    at += system_begin.size();
    const size_t end = canonical.find(system_end, at);
    if (end == std::string::npos) return std::nullopt;
    std::string system = canonical.substr(at, end - at);
    if (system.empty() || system.find("{%") != std::string::npos || system.find("{{") != std::string::npos) continue;
    const auto replace = [&](std::string_view before, std::string_view after) {
      const std::string whole = std::string(before) + system + std::string(after);
      for (size_t place = 0; (place = canonical.find(whole, place)) != std::string::npos;) {
        place += before.size();
        canonical.replace(place, system.size(), 1, system_mark);
      }
    };
    replace(system_begin, system_end);
    replace("{%else%}", "{%endif%}");  // with tools, which are never given here
    return system;
  }
  return std::nullopt;
}

std::vector<std::string> chatml_templates() {
  const std::string message = "<|im_start|>{{message.role}}\n{{message.content}}<|im_end|>\n";
  const std::string system = fmt::format("{{%if loop.first and messages[0].role!='system'%}}{}{}{}{{%endif%}}",
                                         system_begin, system_mark, system_end);
  const std::string answer = "<|im_start|>assistant\n{%endif%}";
  const std::string loop = "{%for message in messages%}", end = "{%endfor%}{%if add_generation_prompt%}" + answer;
  const std::string flag = "{%if not add_generation_prompt is defined%}{%set add_generation_prompt=false%}{%endif%}";
  return {loop + message + end, loop + system + message + end, flag + loop + message + end,
          loop + message + "{%if loop.last and add_generation_prompt%}" + answer + "{%endfor%}"};
}

// Published templates by the SHA-256 of their canonical form with system_mark in place of the default system message.
struct KnownTemplate {
  std::string_view sha256;
  ChatFormat format;
};
constexpr KnownTemplate known_templates[] = {
    // Qwen2.5, Qwen3-Instruct-2507 and Llama 3.0, each followed by TRL's version of it for training.
    {"c1206740b743a339feb37b2fc8afde5fa4c909516f129eee6f9102afa67290c8", ChatFormat::chatml},
    {"e16cf596d0adfa97d45042c3a209ba24910e66f2b5984e85af2f40a015902061", ChatFormat::chatml},
    {"e5feccec45fa23192807af86eece5dcb7403a2f2956da308fa6c5684d4488c53", ChatFormat::chatml},
    {"1cf68cac6e6f45f2f37297d2cbf61484c905b3aac892e2935c9b801bf31e7c3e", ChatFormat::chatml},
    {"b541c8c2a5012e428533c31ab635f6f18ab3a59823c20551dd2e92eaf51fe8b8", ChatFormat::llama3},
    {"cad1b5b4edb6c999d3de9ec51ace54da0877ca980ad04bcf1928c784a75ca4ae", ChatFormat::llama3},
};

std::optional<Chat> recognize(std::string_view jinja) {
  auto canonical = canonical_template(jinja);
  if (!canonical) return std::nullopt;
  const auto system = take_default_system(*canonical);
  const auto chatml = chatml_templates();
  if (std::ranges::find(chatml, *canonical) != chatml.end()) return Chat{ChatFormat::chatml, system};
  const auto known = std::ranges::find(known_templates, datasets::sha256(*canonical), &KnownTemplate::sha256);
  if (known == std::end(known_templates)) return std::nullopt;
  return Chat{known->format, system};
}

[[noreturn]] void refuse(std::string_view file, std::string_view jinja) {
  const auto has = [&](std::string_view text) { return jinja.find(text) != std::string_view::npos; };
  const std::string_view why = has("think>") || has("enable_thinking")    ? "adds thinking sections"
                               : has("strftime_now") || has("Today Date") ? "adds dates to the system message"
                                                                          : "is unknown";
  const std::string_view names = has("<|im_start|>")          ? "chatml"
                                 : has("<|start_header_id|>") ? "llama3"
                                                              : "chatml, llama3";
  throw std::invalid_argument(
      fmt::format("{}: the chat template {}, expected the one of SmolLM2, Qwen2, Qwen2.5, "
                  "Qwen3-Instruct-2507, Llama 3.0 or plain ChatML; choose the format by name: "
                  "{} or none",
                  file, why, names));
}

// The format begins with this text; the folder's template, with the folder's bos_token.
void check_bos_token(const std::filesystem::path& config, const nlohmann::json& parsed) {
  const JsonField root(config.native(), parsed);
  const JsonField token = root["bos_token"];
  if (token.is_null()) return;
  const JsonField content = token.value().is_object() ? token["content"] : token;
  content.check(content.text() == llama3_begin, fmt::format("{}, with which the chat template begins", llama3_begin));
}

}  // namespace

ChatText render(const Chat& chat, std::string_view prompt) {
  const bool is_chatml = chat.format == ChatFormat::chatml;
  if (!is_chatml && chat.format != ChatFormat::llama3) return {std::string(prompt), ""};
  const auto message = is_chatml ? chatml_message : llama3_message;
  ChatText text = {.prompt = is_chatml ? "" : std::string(llama3_begin),
                   .end = is_chatml ? "<|im_end|>\n" : "<|eot_id|>"};
  if (chat.system) text.prompt += message("system", *chat.system);
  text.prompt += message("user", prompt);
  text.prompt += is_chatml ? "<|im_start|>assistant\n" : "<|start_header_id|>assistant<|end_header_id|>\n\n";
  return text;
}

std::string_view render_answer(const Chat& chat, std::string_view answer) {
  return chat.format == ChatFormat::llama3 ? trimmed(answer) : answer;
}

void check_chat(ChatFormat format, const Tokenizer& tokenizer) {
  static constexpr std::string_view chatml[] = {"<|im_start|>", "<|im_end|>"};
  static constexpr std::string_view llama3[] = {llama3_begin, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"};
  const std::span<const std::string_view> tokens = format == ChatFormat::chatml   ? std::span(chatml)
                                                   : format == ChatFormat::llama3 ? std::span(llama3)
                                                                                  : std::span<const std::string_view>();
  for (const auto token : tokens) {
    const auto ids = tokenizer.encode(token, {.special_tokens = false}).ids;
    require(ids.size() == 1 && tokenizer.id_of(token) == ids[0],
            "the tokenizer lacks the special token {}, which the chat format {} needs", token, name_of(format));
  }
}

Chat parse_chat_template(std::string_view jinja, std::string_view file) {
  const auto chat = recognize(jinja);
  if (!chat) refuse(file, jinja);
  return *chat;
}

std::optional<Chat> folder_chat(const std::filesystem::path& folder) {
  const auto file = folder / "chat_template.jinja", config = folder / "tokenizer_config.json";
  nlohmann::json parsed = nlohmann::json::object();
  if (std::filesystem::exists(config)) parsed = datasets::parse_json(datasets::read_file(config), config.string());
  std::string place = file.string(), jinja;
  if (std::filesystem::exists(file)) {
    jinja = datasets::read_file(file, 1 << 20);
  } else {
    const JsonField root(config.native(), parsed);
    if (root["chat_template"].is_null()) return std::nullopt;
    place = config.string();
    jinja = default_template(root["chat_template"]);
  }
  const Chat chat = parse_chat_template(jinja, place);
  if (chat.format == ChatFormat::llama3) check_bos_token(config, parsed);
  return chat;
}

}  // namespace sartor::text
