using Isthmus.Mesh.Model;
using static Isthmus.Mesh.Config.Schema;

namespace Isthmus.Mesh.Config;

/// <summary>The spec of telemetry.istio.io (Istio API reference, "Telemetry").</summary>
internal static class TelemetrySchemas
{
    private static readonly Schema Providers = List(Object(("name", Text)));

    private static readonly (string, Schema) Mode = ("mode", OneOf("CLIENT_AND_SERVER", "CLIENT", "SERVER"));

    /// <summary>The values of tags, also of ProxyConfig.</summary>
    public static readonly Schema Tags = Map(Object(
        ("literal", Object(("value", Text))), ("header", Object(("name", Text), ("defaultValue", Text))), ("environment", Object(("name", Text), ("defaultValue", Text))),
        ("formatter", Object(("value", Text)))));

    private static readonly ObjectSchema TargetRef = Object(("group", Text), ("kind", Text), ("name", Text), ("namespace", Text));

    public static readonly ObjectSchema Telemetry = Object(
        ("selector", Strict(("matchLabels", TextMap))), ("targetRef", TargetRef), ("targetRefs", List(TargetRef)),
        ("tracing", List(Object(
            ("match", Object(Mode)), ("providers", Providers), ("randomSamplingPercentage", Number), ("disableSpanReporting", Flag), ("disableContextPropagation", Flag),
            ("customTags", Tags), ("useRequestIdForTraceSampling", Flag), ("enableIstioTags", Flag)))),
        ("metrics", List(Object(
            ("providers", Providers), ("reportingInterval", Duration), ("overrides", List(Object(
                ("match", Object(Mode, ("metric", OneOf(["ALL_METRICS", .. StandardMetrics.Names.Keys])), ("customMetric", Text))), ("disabled", Flag),
                ("tagOverrides", Map(Object(("operation", OneOf("UPSERT", "REMOVE")), ("value", Text)))))))))),
        ("accessLogging", List(Object(
            ("match", Object(Mode)), ("providers", Providers), ("disabled", Flag), ("filter", Object(("expression", Text)))))));
}
