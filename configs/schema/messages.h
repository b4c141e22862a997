// The words that error messages and the generated docs share.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "schema/fields.h"

namespace sartor {

// "random, stratified or temporal"
std::string either(std::span<const std::string_view> names);

// " (did you mean factors?)" if one of `known` differs from `given` in few letters, otherwise "".
std::string did_you_mean(std::string_view given, std::span<const std::string_view> known);

// At most 60 bytes of a text, cut between characters.
std::string shortened(std::string_view text);

// What a user gave, in one short line: as it is if it is one ASCII word, otherwise quoted.
std::string shown(std::string_view text);

// " from 1 to 65536", " at least 0", "" without limits
std::string in_words(const Range& range);

// What a field takes: "integer from 1 to 65536", "list of numbers above 0", "random or temporal", "section".
template <class T> std::string takes(const LimitOf<T>& limit, std::string_view plural = "") {
  if constexpr (Optional<T>) return takes<typename T::value_type>(limit, plural);
  if constexpr (List<T>) return fmt::format("list{} of {}", plural, takes<typename T::value_type>(limit, "s"));
  if constexpr (Section<T>) return fmt::format("section{}", plural);
  if constexpr (Enum<T>) return either(names_of<T>());
  if constexpr (std::same_as<T, bool>) return "true or false";
  if constexpr (std::same_as<T, int64_t>) return fmt::format("integer{}{}", plural, in_words(limit));
  if constexpr (std::floating_point<T>) return fmt::format("number{}{}", plural, in_words(limit));
  if constexpr (std::same_as<T, std::string>)
    return limit.values.empty() ? fmt::format("{}{}", limit.is_path ? "path" : "text", plural) : either(limit.values);
}

}  // namespace sartor
