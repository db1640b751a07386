import js from "@eslint/js"
import globals from "globals"

export default [
  js.configs.recommended,
  {
    files: ["js/*.js"],
    languageOptions: {ecmaVersion: 2022, sourceType: "module", globals: {...globals.browser, Bokeh: "readonly", models: "readonly"}},
    rules: {
      "no-unused-vars": ["error", {args: "after-used", argsIgnorePattern: "^_"}],
      "prefer-const": "error",
      "no-var": "error",
      eqeqeq: "error",
    },
  },
]
