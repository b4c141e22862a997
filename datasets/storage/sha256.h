// SHA-256, to say which data something was made of.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sartor::datasets {

std::string sha256(std::string_view text);                   // 64 hexadecimal digits
std::string sha256_file(const std::filesystem::path& path);  // throws std::system_error if it cannot be read

}  // namespace sartor::datasets
