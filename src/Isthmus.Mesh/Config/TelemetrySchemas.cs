using Isthmus.Mesh.Model;
using static Isthmus.Mesh.Config.Schema;

namespace Isthmus.Mesh.Config;

/// <summary>The spec of telemetry.istio.io (Istio API reference, "Telemetry").</summary>
internal static class TelemetrySchemas
{
    private static readonly Schema Filled = Text.AtLeast(1);

    private static readonly Schema Providers = List(Object(("name", Text.AtLeast(1))).Requiring("name"));

    private static readonly (string, Schema) Mode = ("mode", OneOf("CLIENT_AND_SERVER", "CLIENT", "SERVER"));

    /// <summary>The values of tags, also of ProxyConfig.</summary>
    public static readonly Schema Tags = Map(Object(
        ("literal", Object(("value", Filled)).Requiring("value")), ("header", Object(("name", Filled), ("defaultValue", Text)).Requiring("name")),
        ("environment", Object(("name", Filled), ("defaultValue", Text)).Requiring("name")), ("formatter", Object(("value", Filled)).Requiring("value")))
        .Choosing("literal", "environment", "header", "formatter"));

    private static readonly ObjectSchema TargetRef = Object(SecuritySchemas.TargetRefFields).Requiring("kind", "name");

    public static readonly ObjectSchema Telemetry = Object(
        ("selector", Strict(("matchLabels", SecuritySchemas.SelectedLabels))), ("targetRef", TargetRef), ("targetRefs", List(TargetRef).AtMost(16)),
        ("tracing", List(Object(
            ("match", Object(Mode)), ("providers", Providers), ("randomSamplingPercentage", Number.Between(0, 100).OrNull()),
                ("disableSpanReporting", Flag.OrNull()),
            ("disableContextPropagation", Flag.OrNull()),
            ("customTags", Tags), ("useRequestIdForTraceSampling", Flag.OrNull()), ("enableIstioTags", Flag.OrNull())))),
        ("metrics", List(Object(
            ("providers", Providers), ("reportingInterval", Duration), ("overrides", List(Object(
                ("match", Object(Mode, ("metric", OneOf(["ALL_METRICS", .. StandardMetrics.Names.Keys])),
                    ("customMetric", Filled)).Choosing("metric", "customMetric")), ("disabled", Flag.OrNull()),
                ("tagOverrides", Map(Object(("operation", OneOf("UPSERT", "REMOVE")),
                    ("value", Text)).With(KindRules.UpsertHasValue, KindRules.RemoveHasNone))))))))),
        ("accessLogging", List(Object(
            ("match", Object(Mode)), ("providers", Providers), ("disabled", Flag.OrNull()),
                ("filter", Object(("expression", Text))))))).With(SecuritySchemas.OneTarget);
}
