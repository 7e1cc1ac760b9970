namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>What the cases are sent through.</summary>
internal static class PeerSettings
{
    internal const string Keys = """{"keys": [{"kty": "oct", "kid": "o", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]}""";

    private const string Filter = "type.googleapis.com/envoy.extensions.filters.http.";

    private const string Off = "{\"@type\": \"type.googleapis.com/envoy.config.route.v3.FilterConfig\", \"disabled\": true}";

    private const string Teapot = "\"abort\": {\"http_status\": 418, \"percentage\": {\"numerator\": 100}}";

    private const string OfTeller = "\"dynamic_metadata\": [{\"filter\": \"envoy.filters.http.jwt_authn\", \"path\": [{\"key\": \"payload\"}, "
        + "{\"key\": \"group\"}], \"value\": {\"string_match\": {\"exact\": \"tellers\"}}}]";

    private static readonly string Tokens = $$$"""
        {"name": "envoy.filters.http.jwt_authn", "typed_config": {"@type": "{{{Filter}}}jwt_authn.v3.JwtAuthentication",
          "providers": {"p": {"issuer": "bank", "audiences": ["money"], "forward": true, "payload_in_metadata": "payload",
            "local_jwks": {"inline_string": "{{{Keys.Replace("\"", "\\\"", StringComparison.Ordinal)}}}"} } },
          "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {} }] } } }] } },
        """;

    internal static IReadOnlyList<ProxySetting> All { get; } =
    [
        new("plain"),
        new("http10", Manager: """ "http_protocol_options": {"accept_http_10": true, "default_host_for_http_10": "old"}, """),
        new("trailers", Manager: """ "http_protocol_options": {"enable_trailers": true}, """, Cluster: ""),
        new("paths", Manager: """ "normalize_path": true, "merge_slashes": true, "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT", """),
        new("slashes", Manager: """ "normalize_path": true, "path_with_escaped_slashes_action": "REJECT_REQUEST", """),
        new("remote", Manager: """ "use_remote_address": true, "xff_num_trusted_hops": 1, """),
        new("via", Manager: """ "via": "mesh", "server_header_transformation": "APPEND_IF_ABSENT", """),
        new("pass", Manager: """ "server_header_transformation": "PASS_THROUGH", "generate_request_id": false, """),
        new("underscores", Manager: """ "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"}, """),
        new("dropped", Manager: """ "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"}, """),
        new("port", Manager: """ "strip_any_host_port": true, """),
        new("refused", HasServer: false),
        new("connect", Manager: """ "http2_protocol_options": {"allow_connect": true}, """, Routes: Connect(""" "upgrade_configs": [{"upgrade_type": "CONNECT"}] """)),
        new("connect-ends", Routes: Connect(""" "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {} }] """)),
        new("connect-nobody", Routes: Connect(""" "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {} }] """), HasServer: false),
        new("connect-off", Routes: Connect(""" "cluster_not_found_response_code": "NOT_FOUND" """)),
        new("connect-answered", Manager: """ "http2_protocol_options": {"allow_connect": true}, """, Routes: """
            {"match": {"connect_matcher": {} }, "direct_response": {"status": 200, "body": {"inline_string": "ok"} } },
            {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"} } }
            """),
        new("upgrade-off", Action: """, "upgrade_configs": [{"upgrade_type": "websocket", "enabled": false}] """),
        new("h2", IsHttp2: true),
        new("h2-timeout", IsHttp2: true, Action: """, "timeout": "2s" """),
        new("h2-idle", IsHttp2: true, Action: """, "idle_timeout": "2s" """),
        new("h2-tries", IsHttp2: true, Action: """, "timeout": "8s", "retry_policy": {"retry_on": "5xx,reset", "num_retries": 1, "per_try_timeout": "1s"} """),
        new("timeout", Action: """, "timeout": "2s" """),
        new("idle", Action: """, "idle_timeout": "2s" """),
        new("retry", Action: """, "retry_policy": {"retry_on": "5xx", "num_retries": 2} """),
        new("retry-codes", Action: """, "retry_policy": {"retry_on": "retriable-status-codes", "num_retries": 1, "retriable_status_codes": [418]} """),
        new("retry-gateway", Action: """, "retry_policy": {"retry_on": "gateway-error", "num_retries": 1} """),
        new("retry-reset", Action: """, "retry_policy": {"retry_on": "reset", "num_retries": 1} """),
        new("retry-refused", Action: """, "retry_policy": {"retry_on": "connect-failure", "num_retries": 1} """, HasServer: false),
        new("retry-4xx", Action: """, "retry_policy": {"retry_on": "retriable-4xx", "num_retries": 1} """),
        new("retry-grpc", Action: """, "retry_policy": {"retry_on": "unavailable", "num_retries": 1} """),
        new("retry-each", Action: """, "retry_policy": {"retry_on": "5xx", "num_retries": 1, "per_try_timeout": "2s"} """),
        new("retry-none", Action: """, "retry_policy": {"retry_on": "5xx", "num_retries": 2} """,
            Cluster: """, "circuit_breakers": {"thresholds": [{"max_retries": 0}]} """),
        new("no-requests", Cluster: """, "circuit_breakers": {"thresholds": [{"max_requests": 0}]} """),
        new("no-pending", Cluster: """, "circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]} """),
        new("attempts", Host: """ "include_request_attempt_count": true, "include_attempt_count_in_response": true, """,
            Action: """, "retry_policy": {"retry_on": "5xx", "num_retries": 1} """),
        new("abort", Filters: Fault(""" "abort": {"http_status": 418, "percentage": {"numerator": 100}} """)),
        new("abort-grpc", Filters: Fault(""" "abort": {"grpc_status": 14, "percentage": {"numerator": 100}} """)),
        new("delay", Filters: Fault(""" "delay": {"fixed_delay": "0.01s", "percentage": {"numerator": 100}} """)),
        new("abort-some", Filters: Fault(""" "headers": [{"name": "x-break", "present_match": true}], "abort": {"http_status": 503, "percentage": {"numerator": 100}} """)),
        new("allow", Filters: Rbac("""
            "policies": {"p": {"permissions": [{"or_rules": {"rules": [
            {"url_path": {"path": {"exact": "/exact"}}}, {"url_path": {"path": {"prefix": "/prefix/"}}}, {"url_path": {"path": {"suffix": "/suffix"}}},
            {"header": {"name": ":method", "string_match": {"exact": "PUT"}}}, {"header": {"name": "x-role", "string_match": {"prefix": "admin"}}},
            {"header": {"name": ":authority", "string_match": {"exact": "Allowed.example", "ignore_case": true}}}]}}], "principals": [{"any": true}]}}
            """)),
        new("deny", Filters: Deny),
        new("template", Filters: Rbac("""
            "policies": {"p": {"permissions": [{"uri_template": {"name": "uri-template", "typed_config":
              {"@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig", "path_template": "/a/*/b/**"} } }],
              "principals": [{"any": true}]} }
            """)),
        new("peer", Filters: Rbac(""" "policies": {"p": {"permissions": [{"any": true}], "principals": [{"direct_remote_ip": {"address_prefix": "127.0.0.0", "prefix_len": 8}}]}} """)),
        new("other-peer", Filters: Rbac(""" "policies": {"p": {"permissions": [{"any": true}], "principals": [{"direct_remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}}]}} """)),
        new("remote-ip", Manager: """ "use_remote_address": true, "xff_num_trusted_hops": 1, """,
            Filters: Rbac(""" "policies": {"p": {"permissions": [{"any": true}], "principals": [{"remote_ip": {"address_prefix": "10.1.0.0", "prefix_len": 16}}]}} """)),
        new("nobody", Filters: Rbac("")),
        new("jwt", Filters: Tokens),
        new("claims", Filters: Tokens + Rbac("""
            "policies": {"p": {"permissions": [{"any": true}], "principals": [{"metadata": {"filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "payload"}, {"key": "group"}], "value": {"string_match": {"exact": "tellers"}}}}]}}
            """)),
        new("cors", Filters: $$$"""{"name": "envoy.filters.http.cors", "typed_config": {"@type": "{{{Filter}}}cors.v3.Cors"}},""",
            Host: $$$"""
             "typed_per_filter_config": {"envoy.filters.http.cors": {"@type": "{{{Filter}}}cors.v3.CorsPolicy", "allow_origin_string_match": [{"exact": "https://a.example"}],
               "allow_methods": "GET,PUT", "allow_headers": "x-a", "expose_headers": "x-b", "max_age": "60", "allow_credentials": true}},
             """),
        new("limited", Filters: $$$"""
            {"name": "envoy.filters.http.local_ratelimit", "typed_config": {"@type": "{{{Filter}}}local_ratelimit.v3.LocalRateLimit", "stat_prefix": "l",
              "token_bucket": {"max_tokens": 1, "fill_interval": "3600s"}, "filter_enabled": {"default_value": {"numerator": 100}},
              "filter_enforced": {"default_value": {"numerator": 100} } } },
            """),
        new("routes", Routes: """
            {"match": {"path": "/exact"}, "direct_response": {"status": 200, "body": {"inline_string": "exact"}}},
            {"match": {"safe_regex": {"regex": "/re/[0-9]+"}}, "direct_response": {"status": 200, "body": {"inline_string": "regex"}}},
            {"match": {"path_separated_prefix": "/dir"}, "direct_response": {"status": 200, "body": {"inline_string": "dir"}}},
            {"match": {"prefix": "/query", "query_parameters": [{"name": "a", "string_match": {"exact": "b"}}]}, "direct_response": {"status": 200, "body": {"inline_string": "query"}}},
            {"match": {"prefix": "/head", "headers": [{"name": "x-a", "string_match": {"contains": "mid"}}]}, "direct_response": {"status": 200, "body": {"inline_string": "head"}}},
            {"match": {"prefix": "/not", "headers": [{"name": "x-a", "present_match": true, "invert_match": true}]}, "direct_response": {"status": 200, "body": {"inline_string": "not"}}},
            {"match": {"prefix": "/range", "headers": [{"name": "x-a", "range_match": {"start": 1, "end": 5}}]}, "direct_response": {"status": 200, "body": {"inline_string": "range"}}},
            {"match": {"prefix": "/CASE", "case_sensitive": false}, "direct_response": {"status": 200, "body": {"inline_string": "case"}}},
            {"match": {"prefix": "/grpc", "grpc": {}}, "direct_response": {"status": 200}},
            {"match": {"prefix": "/empty"}, "direct_response": {"status": 204}},
            {"match": {"prefix": "/r/host"}, "redirect": {"host_redirect": "b.example"}},
            {"match": {"prefix": "/r/https"}, "redirect": {"https_redirect": true, "response_code": "PERMANENT_REDIRECT"}},
            {"match": {"prefix": "/r/port"}, "redirect": {"port_redirect": 8443, "response_code": "FOUND"}},
            {"match": {"prefix": "/r/path"}, "redirect": {"path_redirect": "/new?x=y", "response_code": "SEE_OTHER"}},
            {"match": {"prefix": "/r/prefix"}, "redirect": {"prefix_rewrite": "/p", "strip_query": true, "response_code": "TEMPORARY_REDIRECT"}},
            {"match": {"prefix": "/r/regex"}, "redirect": {"regex_rewrite": {"pattern": {"regex": "/r/regex/(.*)"}, "substitution": "/x/\\1"}}}
            """),
        new("rewrites", Routes: """
            {"match": {"prefix": "/p/"}, "route": {"cluster": "CLUSTER", "prefix_rewrite": "/q/"}},
            {"match": {"prefix": "/re/"}, "route": {"cluster": "CLUSTER", "regex_rewrite": {"pattern": {"regex": "/re/([^/]+)/(.*)"}, "substitution": "/\\2/\\1"}}},
            {"match": {"prefix": "/host"}, "route": {"cluster": "CLUSTER", "host_rewrite_literal": "b.example"}},
            {"match": {"prefix": "/by-header"}, "route": {"cluster": "CLUSTER", "host_rewrite_header": "x-host"}},
            {"match": {"prefix": "/x-host"}, "route": {"cluster": "CLUSTER", "host_rewrite_literal": "b.example", "append_x_forwarded_host": true}}
            """),
        new("edits", Routes: """
            {"match": {"prefix": "/"}, "route": {"cluster": "CLUSTER"},
             "request_headers_to_add": [{"header": {"key": "x-add", "value": "a"}}, {"header": {"key": "x-set", "value": "s"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
               {"header": {"key": "x-absent", "value": "n"}, "append_action": "ADD_IF_ABSENT"}, {"header": {"key": "x-method", "value": "%REQ(:METHOD)%"}},
               {"header": {"key": "x-exists", "value": "e"}, "append_action": "OVERWRITE_IF_EXISTS"}],
             "request_headers_to_remove": ["x-gone"],
             "response_headers_to_add": [{"header": {"key": "x-code", "value": "%RESPONSE_CODE%"}}, {"header": {"key": "x-b", "value": "2"}}],
             "response_headers_to_remove": ["x-secret"]}
            """),
        // In the filter, in the virtual host and in routes.
        new("mutations", Filters: Deny + Mutations("m", """
            "request_mutations": [{"remove": "x-gone"}, {"append": {"header": {"key": "x-a", "value": "1"} } },
              {"append": {"header": {"key": "x-b", "value": "%REQ(:METHOD)%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"} }, {"remove": "x-b"},
              {"append": {"header": {"key": "x-c", "value": "c"}, "append_action": "ADD_IF_ABSENT"} },
              {"append": {"header": {"key": "x-d", "value": "d"}, "append_action": "OVERWRITE_IF_EXISTS"} }],
            "response_mutations": [{"remove": "x-secret"}, {"append": {"header": {"key": "x-code", "value": "%RESPONSE_CODE%"} } },
              {"append": {"header": {"key": "server", "value": "none"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"} }]
            """) + Mutations("late", "\"response_mutations\": [{\"append\": {\"header\": {\"key\": \"x-code\", \"value\": \"late\"}}}]")
            + Mutations("shut", "\"request_mutations\": [{\"append\": {\"header\": {\"key\": \"x-level\", \"value\": \"shut\"}}}]", isOff: true),
            Host: $$$""" "typed_per_filter_config": {"m": {{{OfLevel("host")}}} }, """,
            Routes: $$$"""
            {"match": {"prefix": "/route"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"m": {{{OfLevel("route")}}} },
             "response_headers_to_add": [{"header": {"key": "x-code", "value": "of the route"} }] },
            {"match": {"prefix": "/off"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"m": {{{Off}}} } },
            {"match": {"prefix": "/direct"}, "direct_response": {"status": 202} },
            {"match": {"prefix": "/share"}, "route": {{{Share("m")}}}, "typed_per_filter_config": {"m": {{{OfLevel("route")}}} } },
            {"match": {"prefix": "/opened"}, "route": {{{Share("shut")}}} },
            {"match": {"prefix": "/closed"}, "route": {{{Share("m")}}}, "typed_per_filter_config": {"m": {{{Off}}} } },
            {"match": {"prefix": "/host"}, "route": {"cluster": "CLUSTER"} }
            """),
        new("mutations-specific", Filters: Mutations("m", "", "\"most_specific_header_mutations_wins\": true,"),
            Host: $$$""" "typed_per_filter_config": {"m": {{{OfLevel("host")}}} }, """,
            Routes: $$$"""
            {"match": {"prefix": "/share"}, "route": {{{Share("m")}}}, "typed_per_filter_config": {"m": {{{OfLevel("route")}}} } },
            {"match": {"prefix": "/"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"m": {{{OfLevel("route")}}} } }
            """),
        new("loops", Filters: $$$"""
            {"name": "envoy.filters.http.cdn_loop", "typed_config": {"@type": "{{{Filter}}}cdn_loop.v3.CdnLoopConfig", "cdn_id": "shop:80", "max_allowed_occurrences": 1} },
            """),
        // Which filters run, the route says that a request has at first.
        new("switches", Filters: Tokens.Replace("\"forward\": true", "\"forward\": true, \"clear_route_cache\": true", StringComparison.Ordinal)
                + Rbac("", "closed") + Rbac("", "shut", isOff: true) + Fault(Teapot, "broken", isOff: true)
                + Mutations("edits", """
                    "request_mutations": [{"append": {"header": {"key": "x-level", "value": "edits"} } }],
                    "response_mutations": [{"append": {"header": {"key": "x-level", "value": "edits"} } }]
                    """, isOff: true),
            Host: $$$""" "typed_per_filter_config": {"broken": {"@type": "{{{Filter}}}fault.v3.HTTPFault", {{{Teapot}}} } }, """,
            Routes: $$$"""
            {"match": {"prefix": "/closed"}, "route": {"cluster": "CLUSTER"} },
            {"match": {"prefix": "/broken"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"closed": {{{Off}}} } },
            {"match": {"prefix": "/open"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"broken": {{{Off}}}, "closed": {{{Off}}} } },
            {"match": {"prefix": "/token"}, "route": {"cluster": "CLUSTER"},
             "typed_per_filter_config": {"broken": {{{Off}}}, "closed": {{{Off}}}, "envoy.filters.http.jwt_authn": {{{Off}}} } },
            {"match": {"prefix": "/otherwise"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"closed": {{{Off}}},
              "broken": {"@type": "{{{Filter}}}fault.v3.HTTPFault", "abort": {"http_status": 503, "percentage": {"numerator": 100} } } } },
            {"match": {"prefix": "/later-open", {{{OfTeller}}} }, "direct_response": {"status": 202},
             "typed_per_filter_config": {"broken": {{{Off}}}, "closed": {{{Off}}} } },
            {"match": {"prefix": "/later-open"}, "direct_response": {"status": 203}, "typed_per_filter_config": {"broken": {{{Off}}} } },
            {"match": {"prefix": "/later-closed", {{{OfTeller}}} }, "direct_response": {"status": 202}, "typed_per_filter_config": {"broken": {{{Off}}} } },
            {"match": {"prefix": "/later-closed"}, "direct_response": {"status": 203}, "typed_per_filter_config": {"broken": {{{Off}}}, "closed": {{{Off}}} } },
            {"match": {"prefix": "/first-share", {{{OfTeller}}} }, "route": {"cluster": "CLUSTER"} },
            {"match": {"prefix": "/first-share"}, "route": {{{Share("edits")}}}, "typed_per_filter_config": {"broken": {{{Off}}}, "closed": {{{Off}}} } },
            {"match": {"prefix": "/later-share", {{{OfTeller}}} }, "route": {{{Share("edits")}}} },
            {"match": {"prefix": "/later-share"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"broken": {{{Off}}}, "closed": {{{Off}}} } },
            {"match": {"prefix": "/weighted"}, "route": {"weighted_clusters": {"clusters": [
              {"name": "CLUSTER", "weight": 1, "typed_per_filter_config": {"broken": {{{Off}}}, "closed": {{{Off}}} } }] } } }
            """),
        // Nobody answers: who is asked is refused.
        new("asks", Filters: $$$"""
            {"name": "ask", "typed_config": {"@type": "{{{Filter}}}ext_authz.v3.ExtAuthz", "transport_api_version": "V3", "status_on_error": {"code": "NotFound"},
              "http_service": {"server_uri": {"uri": "http://a", "cluster": "refused", "timeout": "30s"} } } },
            """,
            Routes: $$$"""
            {"match": {"prefix": "/asked"}, "route": {"cluster": "CLUSTER"} },
            {"match": {"prefix": "/off"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"ask": {{{Off}}} } },
            {"match": {"prefix": "/not"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"ask": {"@type": "{{{Filter}}}ext_authz.v3.ExtAuthzPerRoute", "disabled": true} } },
            {"match": {"prefix": "/on"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"ask": {"@type": "{{{Filter}}}ext_authz.v3.ExtAuthzPerRoute", "disabled": false} } },
            {"match": {"prefix": "/settings"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"ask": {"@type": "{{{Filter}}}ext_authz.v3.ExtAuthzPerRoute",
              "check_settings": {"context_extensions": {"a": "b"} } } } },
            {"match": {"prefix": "/other"}, "route": {"cluster": "CLUSTER"}, "typed_per_filter_config": {"ask": {"@type": "{{{Filter}}}ext_authz.v3.ExtAuthzPerRoute",
              "check_settings": {"http_service": {"server_uri": {"uri": "http://a", "cluster": "asks", "timeout": "30s"}, "path_prefix": "/check"} } } } }
            """),
    ];

    private static string Deny => Rbac("""
        "action": "DENY", "policies": {"p": {"permissions": [{"or_rules": {"rules": [{"url_path": {"path": {"prefix": "/secret"}}},
        {"header": {"name": "x-bad", "present_match": true}}, {"not_rule": {"header": {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD|POST"}}}}}]}}],
        "principals": [{"any": true}]}}
        """);

    /// <param name="fields">Of its edits.</param>
    /// <param name="more">Fields of the filter, each followed by a comma.</param>
    private static string Mutations(string name, string fields, string more = "", bool isOff = false) =>
        $$$"""
        {"name": "{{{name}}}", "disabled": {{{(isOff ? "true" : "false")}}},
         "typed_config": {"@type": "{{{Filter}}}header_mutation.v3.HeaderMutation", {{{more}}} "mutations": { {{{fields}}} } } },
        """;

    /// <summary>What a level adds to a header_mutation filter: its name to a request field and to one of the response.</summary>
    private static string OfLevel(string level) => $$$"""
        {"@type": "{{{Filter}}}header_mutation.v3.HeaderMutationPerRoute", "mutations": {
          "request_mutations": [{"append": {"header": {"key": "x-level", "value": "{{{level}}}"} } }],
          "response_mutations": [{"append": {"header": {"key": "x-level", "value": "{{{level}}}"} } }] } }
        """;

    /// <summary>One cluster of several, which adds to a header_mutation filter. The others get nothing.</summary>
    private static string Share(string filter) => $$$"""
        {"weighted_clusters": {"clusters": [{"name": "refused", "weight": 0},
          {"name": "CLUSTER", "weight": 1, "typed_per_filter_config": {"{{{filter}}}": {{{OfLevel("share")}}} } }] } }
        """;

    private static string Connect(string action) => $$$"""
        {"match": {"connect_matcher": {} }, "route": {"cluster": "CLUSTER", {{{action}}} } }, {"match": {"prefix": "/"}, "route": {"cluster": "CLUSTER"} }
        """;

    private static string Fault(string fields, string name = "envoy.filters.http.fault", bool isOff = false) =>
        $$$"""{"name": "{{{name}}}", "disabled": {{{(isOff ? "true" : "false")}}}, "typed_config": {"@type": "{{{Filter}}}fault.v3.HTTPFault", {{{fields}}} } },""";

    private static string Rbac(string rules, string name = "envoy.filters.http.rbac", bool isOff = false) =>
        $$$"""{"name": "{{{name}}}", "disabled": {{{(isOff ? "true" : "false")}}}, "typed_config": {"@type": "{{{Filter}}}rbac.v3.RBAC", "rules": { {{{rules}}} } } },""";
}
