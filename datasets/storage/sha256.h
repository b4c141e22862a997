// SHA-256, to say which data something was made of.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sartor::datasets {

std::string sha256(std::string_view text);  // 64 hexadecimal digits

// Throws std::system_error if it cannot be read, std::runtime_error if it does not have as many bytes as were read.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace sartor::datasets
