namespace Isthmus.Samples.HttpBin;

/// <summary>Fixed documents.</summary>
internal static class Pages
{
    internal const string Index = """
        <!DOCTYPE html>
        <html>
        <head><title>httpbin</title></head>
        <body>
        <h1>httpbin</h1>
        <p>Answers with what it received. Try /get, /headers, /ip, /status/418, /delay/1, /stream/3, /anything, /uuid, /html, /json.</p>
        </body>
        </html>

        """;

    internal const string Html = """
        <!DOCTYPE html>
        <html>
        <head><title>An isthmus</title></head>
        <body>
        <h1>An isthmus</h1>
        <p>A narrow strip of land between two waters joins what lies on both sides. Who wants to go from one to the other
        crosses it; who rules it decides who may.</p>
        </body>
        </html>

        """;

    internal const string Json = """
        {
          "slideshow": {
            "author": "Yours Truly",
            "date": "date of publication",
            "slides": [
              {
                "title": "Two clusters",
                "type": "all"
              },
              {
                "items": [
                  "One <em>root</em> of trust",
                  "One gateway for each network"
                ],
                "title": "One mesh",
                "type": "all"
              }
            ],
            "title": "Sample Slide Show"
          }
        }

        """;

    internal const string Xml = """
        <?xml version='1.0' encoding='us-ascii'?>
        <slideshow title="Sample Slide Show" author="Yours Truly">
          <slide type="all"><title>Two clusters</title></slide>
          <slide type="all"><title>One mesh</title><item>One root of trust</item></slide>
        </slideshow>

        """;

    internal const string Utf8 = """
        <h1>UTF-8</h1>
        <pre>
        Gruß, příliš žluťoučký kůň, Ωμέγα, Привет, שלום, こんにちは, 你好
        ∮ E⋅da = Q, n → ∞, ∑ f(i) = ∏ g(i), ⌈x⌉ = −⌊−x⌋, ✔
        </pre>

        """;
}
