// SHA-256 of strings and files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sartor::datasets {

std::string sha256(std::string_view text);  // 64 hexadecimal digits

// Throws std::system_error if the file cannot be read, std::runtime_error if its size changes meanwhile.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace sartor::datasets
