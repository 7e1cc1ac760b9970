using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Logs;

namespace Isthmus.Mesh.Config;

/// <summary>Reads the access logs of <c>extensionProviders</c>.</summary>
internal static class LoggerReader
{
    public static AccessLogger ReadFile(string name, Field log)
    {
        var (path, format) = (log["path"].Text, log["logFormat"]);
        return new(name, path.Length > 0 ? path : AccessLogger.StandardOutput, format.Exists || name != AccessLogger.Envoy.Name ? ReadTemplate(format) : null);
    }

    public static AccessLogger ReadOpenTelemetry(string name, Field log)
    {
        var (text, labels) = (log["logFormat"]["text"], log["logFormat"]["labels"]);
        foreach (var (label, value) in labels.Members)
        {
            if (value.Text.Length == 0) value.Error("must be a text");
            else Check(value, value.Text, value.Path);
        }
        return new(name, "", new(Checked(text), false)) { Service = Service(LogProtocol.OpenTelemetry, log) with { Attributes = labels.TextMap } };
    }

    public static AccessLogger ReadEntries(string name, Field log, LogProtocol protocol) => new(name, "", null)
    {
        Service = Service(protocol, log) with
        {
            RequestHeaders = HeaderNames.ReadLower(log["additionalRequestHeadersToLog"]),
            ResponseHeaders = HeaderNames.ReadLower(log["additionalResponseHeadersToLog"]),
            ResponseTrailers = HeaderNames.ReadLower(log["additionalResponseTrailersToLog"]),
        },
    };

    private static LogService Service(LogProtocol protocol, Field log) => new(protocol, log["service"].Text, log["port"].Int ?? 0, log["logName"].Text);

    /// <summary>The format of MeshConfig. One with errors counts as absent, so that lines are written.</summary>
    public static LogTemplate ReadMesh(Field mesh)
    {
        var format = mesh["accessLogFormat"];
        if (mesh["accessLogEncoding"].Text != "JSON") return new(Checked(format), false);
        try
        {
            if (format.Text.Length > 0 && StrictJson.Parse(format.Text) is not JsonObject) throw new JsonException();
            if (format.Text.Length > 0) CheckLabels(format, StrictJson.Parse(format.Text)!, format.Path);
        }
        catch (JsonException)
        {
            format.Error("must be a JSON object with accessLogEncoding JSON", "write for example {\"status\": \"%RESPONSE_CODE%\"}");
        }
        return new(format.IsWrong ? "" : format.Text, true);
    }

    private static LogTemplate ReadTemplate(Field format)
    {
        var (text, labels) = (format["text"], format["labels"]);
        if (text.Exists && labels.Exists) format.Error("only one of text and labels may be set");
        if (!labels.Exists) return new(Checked(text), false);
        CheckLabels(labels, labels.Node!, labels.Path);
        return new(labels.Members.Any() ? Canonical.Text(labels.Node) : "", true);
    }

    private static string Checked(Field format)
    {
        Check(format, format.Text, format.Path);
        return format.IsWrong ? "" : format.Text;
    }

    private static void CheckLabels(Field format, JsonNode node, string path)
    {
        switch (node)
        {
            case JsonObject members:
                foreach (var (name, value) in members.Where(member => member.Value is not null)) CheckLabels(format, value!, $"{path}[{name}]");
                break;
            case JsonArray items:
                foreach (var (index, value) in items.Index().Where(item => item.Item is not null)) CheckLabels(format, value!, $"{path}[{index}]");
                break;
            case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                Check(format, value.GetValue<string>(), path);
                break;
        }
    }

    private static void Check(Field format, string text, string path)
    {
        if (LogFormatText.Problem(text) is { } why)
            format.Findings.Error(path, $"\"{text}\" is not a format of access logs: {why}", "use operators of Envoy's access logs, such as %RESPONSE_CODE%");
    }
}
