using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Cel;
using Isthmus.Wire.Logs;

namespace Isthmus.Mesh.Config;

internal static class TelemetryReader
{
    private const string Expressions = "write a CEL expression over Envoy's attributes, for example response.code >= 400";

    public static Telemetry Read(ObjectRef source, Field spec, long createdAt)
    {
        var target = WorkloadTarget.Read(spec, spec["selector"]["matchLabels"]);
        return new(source, target, spec["tracing"].Items.Select(ReadTrace).ToValueList(),
            spec["accessLogging"].Items.Select(ReadLog).ToValueList(), spec["metrics"].Items.Select(MetricReader.Read).ToValueList(), createdAt);
    }

    private static LogRule ReadLog(Field rule)
    {
        var mode = rule["match"]["mode"].Text;
        var filter = rule["filter"]["expression"];
        if (filter.Text.Length > 0 && TrafficExpression.Problem(filter.Text, isCondition: true) is { } why)
            filter.Error($"\"{filter.Text}\" cannot select what is logged: {why}", Expressions);
        return new(mode != "SERVER", mode != "CLIENT", ReadProviders(rule["providers"]), rule["disabled"].Flag ?? false, filter.IsWrong ? "" : filter.Text);
    }

    internal static ValueList<string> ReadProviders(Field providers)
    {
        foreach (var provider in providers.Items.Where(provider => provider["name"].Text.Length == 0))
            provider["name"].Error("must be the name of a provider in extensionProviders of MeshConfig");
        return providers.Items.Select(provider => provider["name"].Text).ToValueList();
    }

    private static TraceRule ReadTrace(Field rule)
    {
        var (mode, providers) = (rule["match"]["mode"].Text, rule["providers"]);
        if (providers.Items.Skip(1).Any()) providers.Warn("only the first provider is used", "name one provider");
        return new(mode != "SERVER", mode != "CLIENT", ReadProviders(providers))
        {
            Sampling = ReadPercent(rule["randomSamplingPercentage"]),
            IsDisabled = rule["disableSpanReporting"].Flag,
            HidesContext = rule["disableContextPropagation"].Flag,
            Tags = rule["customTags"].Exists ? ReadTags(rule["customTags"]) : null,
            UsesRequestId = rule["useRequestIdForTraceSampling"].Flag,
            HasIstioTags = rule["enableIstioTags"].Flag,
        };
    }

    /// <summary>ProxyConfig's <c>tracing</c>.</summary>
    public static ProxyTracing ReadProxy(Field tracing)
    {
        var address = tracing["zipkin"]["address"];
        if (address.Text.Length > 0 && !IsAddress(address.Text))
            address.Error($"\"{address.Text}\" is not HOST:PORT", "write it like zipkin.istio-system:9411");
        return new(ReadPercent(tracing["sampling"]), address.IsWrong ? "" : address.Text, ReadTags(tracing["customTags"]), tracing["maxPathTagLength"].UInt);
    }

    private static double? ReadPercent(Field percent)
    {
        if (percent.Number is not { } number) return null;
        if (number is >= 0 and <= 100) return number;
        percent.Error($"{percent.Node!.ToJsonString()} must be in the range 0..100");
        return null;
    }

    private static ValueMap<TraceTag> ReadTags(Field tags) => tags.Members.Select(tag => KeyValuePair.Create(tag.Key, ReadTag(tag.Value))).ToValueMap();

    private static TraceTag ReadTag(Field tag)
    {
        var (literal, header, environment, formatter) = (tag["literal"], tag["header"], tag["environment"], tag["formatter"]);
        if (new[] { literal, header, environment, formatter }.Count(kind => kind.Exists) != 1)
            tag.Error("needs one of literal, header, environment and formatter");
        if (formatter.Exists)
        {
            var format = formatter["value"];
            if (format.Text.Length == 0) format.Error("must not be empty");
            else if (LogFormatText.Problem(format.Text) is { } why)
                format.Error($"\"{format.Text}\" is not a format of access logs: {why}", "use operators of Envoy's access logs, such as %REQ(:METHOD)%");
            return new(TraceTagKind.Format, format.Text, "");
        }
        if (header.Exists)
        {
            if (!HeaderNames.IsName(header["name"].Text)) header["name"].Error($"\"{header["name"].Text}\" is not the name of a header");
            return new(TraceTagKind.Header, header["name"].Text.ToLowerInvariant(), header["defaultValue"].Text);
        }
        if (environment.Exists)
        {
            if (environment["name"].Text.Length == 0) environment["name"].Error("must be the name of an environment variable");
            return new(TraceTagKind.Environment, environment["name"].Text, environment["defaultValue"].Text);
        }
        if (literal.Exists && literal["value"].Text.Length == 0) literal["value"].Error("must not be empty");
        return new(TraceTagKind.Literal, literal["value"].Text, "");
    }

    private static bool IsAddress(string address) =>
        address.LastIndexOf(':') is > 0 and var colon
            && int.TryParse(address[(colon + 1)..], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var port)
        && port is >= 1 and <= 65535 && HostNames.WhyInvalid(address[..colon], allowWildcard: false) is null;
}
