// SPDX-License-Identifier: GPL-2.0-only
#include "support/schema.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace vethtrace::test {

std::string schema_errors(const std::string &schema, const nlohmann::json &document) {
    std::string path = std::string(VETHTRACE_DOCS "/schemas/") + schema + ".schema.json";
    std::ifstream file(path);
    if (!file)
        return path + " cannot be read";
    nlohmann::json text = nlohmann::json::parse(file);
    valijson::Schema rules;
    valijson::SchemaParser parser;
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(text), rules);

    valijson::Validator validator;
    valijson::ValidationResults results;
    valijson::adapters::NlohmannJsonAdapter target(document);
    if (validator.validate(rules, target, &results))
        return "";
    std::ostringstream errors;
    for (const auto &error : results) {
        for (const std::string &place : error.context)
            errors << place;
        errors << ": " << error.description << '\n';
    }
    return errors.str();
}

} // namespace vethtrace::test
