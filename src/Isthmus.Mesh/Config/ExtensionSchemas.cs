using static Isthmus.Mesh.Config.Schema;

namespace Isthmus.Mesh.Config;

/// <summary>The specs of extensions.istio.io: WasmPlugin, and TrafficExtension, which is refused here and stored for a control plane of Istio that shares the
/// cluster.</summary>
internal static class ExtensionSchemas
{
    private static readonly Schema Matches = List(Object(
        ("mode", OneOf("UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER")),
        ("ports", List(Object(("number", new NumberSchema(true, 1, ushort.MaxValue))).Requiring("number")) with { Key = "number" })));

    private static readonly (string, Schema)[] Module =
    [
        ("failStrategy", OneOf("FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD")), ("imagePullPolicy", OneOf("UNSPECIFIED_POLICY", "IfNotPresent", "Always")),
        ("imagePullSecret", Text.Between(1, 253)), ("pluginConfig", Anything), ("pluginName", Text.Between(1, 256)),
            ("sha256", Text.Matching("([a-f0-9]{64})?")),
        ("type", OneOf("UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK")), ("url", Text.AtLeast(1).With(SchemaRule.ModuleAddress)), ("verificationKey", Idle(Text)),
        ("vmConfig", Object(("env", List(
            Object(("name", Text.Between(1, 256)), ("value", Text.AtMost(2048)),
                ("valueFrom", OneOf("INLINE", "HOST"))).Requiring("name").With(KindRules.ValueOrHost)) with { Most = 256, Key = "name" }))),
    ];

    private static readonly (string, Schema)[] Targets =
    [
        ("match", Matches), ("priority", Integer.OrNull()), ("selector", Object(("matchLabels", SecuritySchemas.SelectedLabels))),
        ("targetRefs", List(Object(SecuritySchemas.TargetRefFields).Requiring("kind", "name")).AtMost(16)),
    ];

    public static readonly ObjectSchema WasmPlugin = Object(
        [.. Module, .. Targets, ("phase", OneOf("UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS")),
            ("targetRef", Object(SecuritySchemas.TargetRefFields).Requiring("kind", "name"))])
        .Requiring("url").With(SecuritySchemas.OneTarget);

    public static readonly ObjectSchema TrafficExtension = Object(
        [.. Targets, ("lua", Object(("inlineCode", Text.Between(1, 65536))).Requiring("inlineCode")),
            ("phase", OneOf("UNSPECIFIED", "AUTHN", "AUTHZ", "STATS")), ("wasm", Object(Module).Requiring("url"))])
        .Choosing("wasm", "lua").With(SchemaRule.AtMostOne("selector", "targetRefs"), KindRules.WasmOrLua);
}
