// Phrases shared by error messages and generated documentation.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "schema/fields.h"

namespace sartor {

// An enumeration: "random, stratified or temporal".
std::string either(std::span<const std::string_view> names);

// " (did you mean factors?)" if the edit distance of `given` to one of `known` is small, otherwise "".
std::string did_you_mean(std::string_view given, std::span<const std::string_view> known);

// The first 60 bytes of a text at most, cut between characters, with "..." if it was cut.
std::string shortened(std::string_view text);

// User input for an error message: shortened, on one line, quoted unless it is a single ASCII word.
std::string shown(std::string_view text);

// " from 1 to 65536", " at least 0", or "" without limits.
std::string in_words(const Range& range);

// Type and limit of a field: "integer from 1 to 65536", "list of numbers above 0", "random or temporal", "section".
template <class T> std::string takes(const LimitOf<T>& limit, std::string_view plural = "") {
  if constexpr (Optional<T>) return takes<typename T::value_type>(limit, plural);
  if constexpr (List<T>) return fmt::format("list{} of {}", plural, takes<typename T::value_type>(limit, "s"));
  if constexpr (Section<T>) return fmt::format("section{}", plural);
  if constexpr (Enum<T>) return either(names_of(limit));
  if constexpr (std::same_as<T, bool>) return "true or false";
  if constexpr (std::same_as<T, int64_t>) return fmt::format("integer{}{}", plural, in_words(limit));
  if constexpr (std::floating_point<T>) return fmt::format("number{}{}", plural, in_words(limit));
  if constexpr (std::same_as<T, std::string>)
    return limit.values.empty() ? fmt::format("{}{}", limit.is_path ? "path" : "text", plural) : either(limit.values);
}

}  // namespace sartor
