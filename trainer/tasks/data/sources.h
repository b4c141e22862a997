// What data was made of, for its provenance.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace sartor {

// [{"path": ..., "bytes": ..., "sha256": ...}, ...]; takes as long as reading the files does.
nlohmann::ordered_json describe_files(const std::vector<std::string>& files);

// The SHA-256 of what the files hold and of what is done with it: equal for equal contents, wherever they lie.
std::string data_hash(const nlohmann::ordered_json& files, const std::string& treatment);

}  // namespace sartor
